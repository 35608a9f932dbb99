"""Texas STAAR: results of the state's tests, as the files that Texas sends its districts.

What to upload: the student data file of an administration, from the state's testing portal, either
the text file (fixed width, no header: 4000 characters a line for grades 3 to 8, 2000 for
end-of-course, the last one a point) or the CSV of the same layout; and the CSV of the interim
tests. Do not open them in a spreadsheet first: it takes zeros from ids, campuses and codes.

Editions are one per family and year, because names change every year and places do not: a layout in
`layouts` lists every field of the year in its order with its place, and next year's is a line in
`editions.csv`, a layout file and a sample. The layouts are derived from public data
(`layouts/NOTICE.md`). Which edition a file of fixed width is of, it says itself: the length of its
lines tells grades 3 to 8 from end-of-course, the administration code in its first four characters
tells the year (13YY, December, belongs to the layout of the next year).

Tables:

    staar          one row per student record of a tested grade, grades 3 to 8 and Alternate 2,
                   the subjects side by side (rla_*, math_*, writing_*, social_studies_*, science_*)
    staar_eoc      one row per student, course and administration; end-of-course and Alternate 2
    staar_long     one row per student, tested grade, administration and subject
    staar_interim  one row per attempt at an interim test

Known trouble: absent students have blank flags, which are no level; scores are zero-padded and 000
is a percentile; a student who tests in two grades has two records; Algebra I taken in grade 7 or 8
is copied into the record of grades 3 to 8 and is read from the end-of-course file alone; item
answers and the history of earlier years are read past. The PEIMS id may be a social security
number: it is loaded because some districts match on it (alternate user id), and is personal data.
"""
