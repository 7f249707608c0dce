"""The commands behind `tinysegnet ...`: one dataclass each, fields are options, `run` is the work."""
