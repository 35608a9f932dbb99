"""Where tables live. One interface, two engines; nobody else imports a database driver."""
