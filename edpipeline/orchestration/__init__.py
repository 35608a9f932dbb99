"""When things happen: what Dagster shows, asks for and records.

Belongs here: assets, checks, partitions, sensors, schedules, and the words of an alert. Each is
built from the declarations in `sources`, for any source; none names a vendor.

Does not belong here: how a delivery is fetched, landed, validated or loaded. That is done by the
pipeline, which the command line calls the same way and which knows nothing of Dagster.

Nothing is read or connected while definitions are built: the districts file, the landing, the
warehouse and SFTP servers are opened inside runs and ticks, anew each time. What is logged or kept
as metadata is counts, codes and names of columns, files and districts, never a student's data and
never a secret.

    partitions.py  day x district
    metadata.py    what the UI shows of a table, and of what became of it in a sync
    checks.py      what must be true of a delivery and of each of its files
    steps.py       how a step works through its partitions, fails, and asks to be tried again
    assets.py      a source: land what arrived, load it into every table in one transaction
    marts.py       the tables people query, refilled by district
    follow.py      marts are refilled when what they read was loaded
    sensors.py     deliveries are noticed, looked at twice, and asked for
    memory.py      what the sensor remembers between ticks
    schedules.py   windows open and close: what failed is tried again
    closed.py      windows that have closed without a delivery: said so, once
    standing.py    who uses a source, and what became of their days
    alerts.py      what a person is told; incidents.py, what went wrong since; alert_sensor.py, when
    uploads.py     what waits in the inbox is taken, and watched over
    pulls.py       a vendor's API is asked within its daily window
    polls.py       a vendor's API is asked about one thing at a time, when it is due
    surveys.py     what must be true where it is asked about every student once a day
    missed.py      what a person is told about a window without a delivery
    runs.py        jobs, what a run is asked for, the pool; one day without a daemon
"""
