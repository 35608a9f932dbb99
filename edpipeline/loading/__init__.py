"""Accepted rows meet what is there: compared, guarded, applied in one transaction, reported.

The stages here work on any source; they name no vendor and no file of a district.
"""
