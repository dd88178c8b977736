"""Commands over many targets and their run folder."""
