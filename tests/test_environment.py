"""The set-up files agree with each other, and the Makefile says what is missing."""

import os
import re
import shutil
import subprocess
import sys
import tomllib
import zipfile
from fnmatch import fnmatch
from pathlib import Path

import grimp
import pytest
import yaml
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

from rulbook.cli import app

ROOT = Path(__file__).parents[1]
PYPROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
PROJECT, BUILD = PYPROJECT["project"], PYPROJECT["build-system"]
MAKEFILE = (ROOT / "Makefile").read_text(encoding="utf-8")
PUBLISHED_WITH = {"python_version": "3.11"}
CONSTRAINTS = {
    canonicalize_name(requirement.name): requirement
    for line in (ROOT / "constraints.txt").read_text(encoding="utf-8").splitlines()
    if line and not line.startswith("#")
    for requirement in [Requirement(line)]
}


def _required(*extras):
    """Return what the project and the extras need, extras of our own followed."""
    lines = list(PROJECT["dependencies"])
    for extra in extras:
        for line in PROJECT["optional-dependencies"][extra]:
            requirement = Requirement(line)
            if requirement.name == PROJECT["name"]:
                lines += _required(*requirement.extras)
            else:
                lines.append(line)
    return lines


def test_conda_gets_what_pip_gets():
    environment = yaml.safe_load((ROOT / "environment.yml").read_text(encoding="utf-8"))
    *by_conda, by_pip = environment["dependencies"]
    assert environment["name"] == PROJECT["name"]
    assert by_conda == [f"python{PROJECT['requires-python']}", "nodejs", "pip"]
    assert by_pip == {"pip": ["-c constraints.txt", "-e .[dev]"]}
    install = re.search(r"pip install .*-c constraints.txt.*", MAKEFILE)[0]
    for argument in by_pip["pip"]:
        assert argument in install.replace('"', "")


def test_every_requirement_is_locked_to_a_version_that_satisfies_it():
    for requirement in map(Requirement, _required("dev")):
        (pin,) = CONSTRAINTS[canonicalize_name(requirement.name)].specifier
        assert pin.operator == "==", requirement.name
        assert requirement.specifier.contains(pin.version, prereleases=True), requirement


def test_the_lock_with_hashes_is_what_is_pinned_and_all_that_is_needed():
    """That is, for one system: that of the workflow which publishes."""
    lines = (
        (ROOT / "requirements.lock").read_text(encoding="utf-8").replace("\\\n", "").splitlines()
    )
    locked = {}
    for line in lines:
        if not line.startswith("#"):
            requirement, *hashes = line.split(" --hash=")
            assert hashes, requirement
            assert all(re.fullmatch(r"sha256:[0-9a-f]{64}", each.strip()) for each in hashes), line
            parsed = Requirement(requirement.strip())
            locked[canonicalize_name(parsed.name)] = parsed
    here = {"extra": "", "sys_platform": "linux", "platform_system": "Linux"} | PUBLISHED_WITH
    for name, requirement in locked.items():
        (pin,) = requirement.specifier
        assert pin.version.removesuffix("+cpu") == next(iter(CONSTRAINTS[name].specifier)).version
    for requirement in map(Requirement, _required("dev")):
        if requirement.marker is None or requirement.marker.evaluate(here):
            assert canonicalize_name(requirement.name) in locked, requirement
    assert {canonicalize_name(Requirement(line).name) for line in BUILD["requires"]} <= set(locked)


def test_an_editable_installation_needs_no_package_but_hatchling(tmp_path):
    """Without the setting for it, hatchling imports ``editables``, which no lock of ours has."""
    build = "import sys; sys.modules['editables'] = None; import {0} as b; b.build_editable({1!r})"
    command = build.format(BUILD["build-backend"], str(tmp_path))
    subprocess.run([sys.executable, "-c", command], cwd=ROOT, check=True)
    (wheel,) = tmp_path.glob("*.whl")
    with zipfile.ZipFile(wheel) as content:
        (link,) = (name for name in content.namelist() if name.endswith(".pth"))
        assert Path(content.read(link).decode().strip()).samefile(ROOT / "src")


def test_what_is_published_is_built_of_files_with_known_hashes():
    workflow = ROOT / ".github" / "workflows" / "publish.yml"
    steps = yaml.safe_load(workflow.read_text(encoding="utf-8"))["jobs"]["build"]["steps"]
    (python,) = (step["with"] for step in steps if "setup-python" in step.get("uses", ""))
    assert python["python-version"] == PUBLISHED_WITH["python_version"]
    for step in steps:
        assert "run" not in step or step["env"]["LOCKED"] == "1"
    assert f"--python-version {PUBLISHED_WITH['python_version']} " in MAKEFILE


def test_the_page_of_tried_versions_says_which_are_pinned():
    page = (ROOT / "book" / "run-it-yourself.md").read_text(encoding="utf-8")
    (row,) = (line for line in page.splitlines() if "the versions of `constraints.txt`" in line)
    (torch,) = CONSTRAINTS["torch"].specifier
    assert f"Python {PUBLISHED_WITH['python_version']}, PyTorch {torch.version} " in row


def test_the_extras_that_texts_and_messages_promise_are_there():
    places = ("src/**/*.py", "book/*.md", "*.md", "Makefile", "environment.yml")
    named = re.compile(r"(?:rulbook|\.)\[([a-z]+)\]")
    promised = {
        extra
        for place in places
        for file in ROOT.glob(place)
        for extra in named.findall(file.read_text(encoding="utf-8"))
    }
    assert {"dev", "solvers", "studies"} <= promised <= set(PROJECT["optional-dependencies"])


def test_without_extras_exactly_what_the_weighting_methods_import_is_installed():
    graph = grimp.build_graph("rulbook", include_external_packages=True, cache_dir=None)
    imported = graph.find_upstream_modules("rulbook.weighting", as_package=True)
    packages = {module.split(".")[0] for module in imported} - set(sys.stdlib_module_names)
    assert packages == {"rulbook", *(Requirement(line).name for line in PROJECT["dependencies"])}


def test_the_licence_and_the_citation_name_the_version_of_the_package():
    citation = yaml.safe_load((ROOT / "CITATION.cff").read_text(encoding="utf-8"))
    assert citation["version"] == PROJECT["version"]
    assert citation["license"] == PROJECT["license"].split(" AND ")


def test_workflows_run_the_targets_of_the_makefile():
    targets = set(re.findall(r"^([a-z-]+):", MAKEFILE, flags=re.MULTILINE))
    workflows = list((ROOT / ".github" / "workflows").glob("*.yml"))
    assert workflows
    for workflow in workflows:
        called = re.findall(r"\bmake ([a-z-]+)", workflow.read_text(encoding="utf-8"))
        assert called, workflow.name
        assert set(called) <= targets, workflow.name


def test_every_action_is_pinned_by_its_commit_beside_its_version():
    for workflow in (ROOT / ".github" / "workflows").glob("*.yml"):
        for used in re.findall(r"uses: (.*)", workflow.read_text(encoding="utf-8")):
            assert re.fullmatch(r"[\w-]+/[\w-]+@[0-9a-f]{40}  # v\d+\.\d+\.\d+", used), used


def test_no_job_that_may_write_runs_code_of_this_project_or_of_its_dependencies():
    for workflow in (ROOT / ".github" / "workflows").glob("*.yml"):
        content = yaml.safe_load(workflow.read_text(encoding="utf-8"))
        assert content["permissions"] == {"contents": "read"}, workflow.name
        for name, job in content["jobs"].items():
            if "permissions" in job:
                assert not any("run" in step for step in job["steps"]), (workflow.name, name)
                assert not any("checkout" in step["uses"] for step in job["steps"])


def test_the_readme_names_the_commands_that_exist():
    readme = (ROOT / "README.md").read_text(encoding="utf-8")
    targets = set(re.findall(r"^([a-z-]+):", MAKEFILE, flags=re.MULTILINE))
    assert {"book", "test"} <= set(re.findall(r"^make ([a-z-]+)", readme, re.MULTILINE))
    assert set(re.findall(r"(?:^|`)make ([a-z-]+)", readme, re.MULTILINE)) <= targets
    of_one_word = {info.name or info.callback.__name__ for info in app.registered_commands}
    groups = {group.name for group in app.registered_groups}
    assert set(re.findall(r"^(?:\| `)?rulbook ([a-z]+)", readme, re.MULTILINE)) == (
        of_one_word | groups
    )


def test_no_folder_of_tests_is_passed_over(request):
    passed_over = request.config.getini("norecursedirs")
    for folder in {path.parent for path in (ROOT / "tests").rglob("test_*.py")}:
        assert not any(fnmatch(folder.name, pattern) for pattern in passed_over), folder


@pytest.fixture
def make(tmp_path):
    """Run a target in a checkout of its own that has only the set-up files."""
    for name in ("Makefile", "pyproject.toml", "constraints.txt"):
        shutil.copy2(ROOT / name, tmp_path)

    def run(*arguments):
        environment = {key: value for key, value in os.environ.items() if key != "MAKEFLAGS"}
        return subprocess.run(
            ["make", *arguments],
            cwd=tmp_path,
            env=environment,
            capture_output=True,
            text=True,
            check=False,
        )

    return run


def _program(path, script):
    path.write_text(f"#!/bin/sh\n{script}\n")
    path.chmod(0o700)
    return path


def test_without_python_make_says_what_to_install(make):
    result = make("book", "PYTHON=no-such-python")
    assert result.returncode
    assert "There is no 'no-such-python' here: install Python 3.11 or newer" in result.stderr


def test_an_old_python_is_refused_by_its_version(make, tmp_path):
    old = _program(
        tmp_path / "old", 'if [ "$1" = --version ]; then echo "Python 3.9.2"; else exit 1; fi'
    )
    result = make("test", f"PYTHON={old}")
    assert result.returncode
    assert "is Python 3.9.2, and Python 3.11 or newer is needed" in result.stderr
    assert not (tmp_path / ".venv").exists()


def test_a_python_without_venv_says_what_to_install(make, tmp_path):
    partial = _program(tmp_path / "partial", '[ "$1" = -c ]')
    result = make("check", f"PYTHON={partial}")
    assert result.returncode
    assert "apt-get install python3-venv" in result.stderr


def _noting_environment(folder):
    """Make an environment whose programs only note their calls; return where."""
    binaries, calls = folder / ".venv" / "bin", folder / "calls"
    binaries.mkdir(parents=True)
    _program(binaries / "python", f'echo "$@" >> {calls}')
    _program(binaries / "rulbook", f'echo rulbook "$@" >> {calls}')
    return calls


def test_a_current_environment_is_reused_and_an_old_one_is_not(make, tmp_path):
    calls = _noting_environment(tmp_path)
    first = make("book")
    assert first.returncode == 0, first.stderr
    assert "pip install" in calls.read_text()
    calls.write_text("")
    make("book")
    assert calls.read_text() == "rulbook build\n"
    stamp = tmp_path / ".venv" / ".installed"
    os.utime(tmp_path / "constraints.txt", (stamp.stat().st_mtime + 10,) * 2)
    make("book")
    assert "pip install" in calls.read_text()


def test_a_locked_installation_takes_only_files_with_known_hashes(make, tmp_path):
    calls = _noting_environment(tmp_path)
    shutil.copy2(ROOT / "requirements.lock", tmp_path)
    made = make("book", "LOCKED=1")
    assert made.returncode == 0, made.stderr
    packages, project = (line for line in calls.read_text().splitlines() if "pip install" in line)
    # Without --no-deps older versions of pip ask for `coverage[toml]` beside the locked `coverage`.
    assert "--no-deps --require-hashes" in packages
    assert packages.endswith("-r requirements.lock")
    assert project.endswith("--no-deps --no-build-isolation -e .")


def test_a_locked_build_in_an_environment_that_is_not_installs_the_lock(make, tmp_path):
    calls = _noting_environment(tmp_path)
    shutil.copy2(ROOT / "requirements.lock", tmp_path)
    for locked in ([], ["LOCKED=1"], []):
        calls.write_text("")
        assert make("book", *locked).returncode == 0
        assert ("--require-hashes" in calls.read_text()) is bool(locked)
        calls.write_text("")
        assert make("book", *locked).returncode == 0
        assert "pip install" not in calls.read_text()


def test_the_newest_torch_is_tried_with_the_lock_as_it_is():
    """The tests of the lock read it whole, and would fail whatever PyTorch does."""
    workflow = (ROOT / ".github" / "workflows" / "newest-torch.yml").read_text(encoding="utf-8")
    commands = [step["run"] for step in yaml.safe_load(workflow)["jobs"]["test"]["steps"][2:]]
    made, upgraded, tested = commands
    assert (made, tested) == ("make .venv/.installed", "make test")
    assert re.search(r"pip install --upgrade torch torchjd$", upgraded)


def test_an_installation_that_fails_is_tried_again(make, tmp_path):
    binaries = tmp_path / ".venv" / "bin"
    binaries.mkdir(parents=True)
    _program(binaries / "python", '[ "$1" = -c ]')
    for _ in range(2):
        result = make("book")
        assert result.returncode
        assert not (tmp_path / ".venv" / ".installed").exists()
