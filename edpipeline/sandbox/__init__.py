"""A district and its vendors on loopback, to try the product on and to test it against.

Here belong real servers for throw-away use (SFTP, vendor APIs, PostgreSQL) and synthetic data.
Everything listens on 127.0.0.1 only and every name in the data is invented.
Nothing of the product depends on this package except the command that starts it, and nothing
here is fit for real students.
"""
