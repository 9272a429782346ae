from rulbook.display.readings import training_conditions as readings
from rulbook.display.results import within
from rulbook.studies.by_condition import condition_table


def test_conditions_are_read_from_their_table(grid):
    compared = condition_table({"protocol": grid.records}, "FD002")
    outcomes = compared.set_index("method")["outcome"]
    assert outcomes["gaba"] == outcomes["grace"] == "higher"
    read = readings.conditions_reading(compared)
    assert read.startswith("Of 3 comparisons with every seed, 2 are told from equal weights: GABA ")
    row = compared.set_index("method").loc["gaba"]
    interval = within(row["difference"], row["difference_low"], row["difference_high"])
    assert f"is higher (difference {interval} cycles); GRACE on FD002" in read
    assert readings.lower_in_words(compared) == ""
    turned = compared.assign(outcome=compared["outcome"].replace("higher", "lower"))
    assert readings.lower_in_words(turned) == (
        f"GABA ({row['condition_label']}) on FD002, GRACE ({row['condition_label']}) on FD002"
    )
    assert "No method has every seed" in readings.conditions_reading(compared.iloc[:1])
