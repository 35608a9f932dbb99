"""Erasing a student, or a whole district, for whoever answers a deletion request.

Belongs here: whom an id means and everything that names them (`meant`), which lines of a file are
about them (`lines`, `files`), landing and inbox without these (`landed`), what is written down of
an erasure (`record`), and the order in which all of it happens (`run`).

Does not belong here: how tables come out of landing. An erasure takes lines out of landing and has
the days that held them loaded anew; tables, marts and published files follow as they always do.

    run.erase_student(pipeline, district_id, student, by)
    run.erase_district(pipeline, district_id, by)
"""

from edpipeline.erasing.run import Erasure, erase_district, erase_student

__all__ = ["Erasure", "erase_district", "erase_student"]
