"""Landing: how bytes arrive and are written down.

Belongs here: the store of what landed (a folder or an S3 prefix), the drop manifest, the ways
a file reaches us (SFTP, vendors' APIs), and opening the zips districts send. Whatever arrives is
kept unchanged before anything is done with it, and never altered afterwards; of an API's answers
only what an allow-list names is written at all.

Does not belong here: what a file means. Nothing in this package looks inside a CSV, knows a
vendor, a column or a table, or imports Dagster or a database. It hands on paths and bytes.

    store.py     Store: immutable keys; FolderStore and open_store
    s3.py        S3Store: the same, in S3
    drop.py      Drop, Delivery, Approval: what arrived, when, and who approved it
    schools.py   which school of the roster a vendor's school is, as people decided
    records.py   the JSON records that these write down
    sftp.py      a pinned SFTP connection, its listing, whole files only
    stability.py when a set of files is complete and still: pure, over listings
    archive.py   zips, read with limits
    http.py      Client: asks a vendor's API; tokens.py signs in, answers.py reads what comes,
                 session.py holds the connections, looked.py what is said of one thing
    pull.py      a listing of it into JSON lines; pages.py walks, redaction.py and flat.py redact
"""
