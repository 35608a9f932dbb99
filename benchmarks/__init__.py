"""What a load costs, as ratios within one run: ours beside the bare floor, at several sizes.

Nothing here is a test: figures depend on the machine, ratios much less so.
"""
