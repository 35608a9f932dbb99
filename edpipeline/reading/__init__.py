"""Bytes become a text frame plus the lines that could not be read. Pure: a path in, frames out.

Nothing here knows a vendor, guesses a type, or drops a row without saying so: a reader returns
every line of the file either as a row of text or as an unreadable line with its code.
"""
