"""The failure vocabulary.

    EdpipelineError
    ├── Permanent            trying again will not help: a person must act
    │   ├── BadConfiguration     a setting or the districts file is wrong
    │   ├── BadCredentials       the other side refused us, or its host key is not the pinned one
    │   │   └── AccountLocked        the other side locked the account: nothing may try it again
    │   ├── BadDelivery          what arrived cannot be used as it is
    │   ├── NotFound             what was asked for by name does not exist
    │   ├── Refused              the other side understood us, and will not do it
    │   └── Garbled              what the other side answered is not what it should be
    └── Transient            trying again later may help
        ├── ConnectionLost       the other side went away or did not answer
        └── Busy                 another process holds what we need

Only `Transient` is retried. A message says what happened, where, and what to do; it names
files, lines, columns and codes, never a student's data and never a secret.
"""


class EdpipelineError(Exception):
    """Base of every error this product raises on purpose."""

    status: int | None = None
    """The HTTP status of the answer that it is about, where there was one."""
    request_id: str = ""
    """What the other side calls the request, where it said so; for its support."""


class Permanent(EdpipelineError):
    """Trying again will not help; the message says what a person must do."""


class BadConfiguration(Permanent):
    """A setting or the districts file is wrong."""


class BadCredentials(Permanent):
    """The other side refused us, or its host key is not the pinned one."""


class AccountLocked(BadCredentials):
    """The other side locked the account; another try could lock it for longer."""


class BadDelivery(Permanent):
    """What arrived cannot be used as it is."""


class NotFound(Permanent):
    """What was asked for by name does not exist."""


class Refused(Permanent):
    """The other side understood us, and will not do it."""


class Garbled(Permanent):
    """What the other side answered is not what it should be."""


class Transient(EdpipelineError):
    """Trying again later may help."""


class ConnectionLost(Transient):
    """The other side went away, or did not answer in time."""


class Busy(Transient):
    """Another process holds what we need; it will let go."""
