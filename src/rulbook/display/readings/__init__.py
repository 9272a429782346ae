"""What the chapters say about their tables: sentences that follow what was computed."""
