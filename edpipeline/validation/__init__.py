"""A text frame becomes typed accepted rows and rejected rows with reasons. Pure.

The rules come from the declarations in `sources`; nothing here names a vendor, and nothing here
reads or writes outside of the folder it is given to spool into.
"""
