"""edpipeline: rosters and assessment results of K-12 districts in one warehouse they can trust."""

__version__ = "0.1.0"
