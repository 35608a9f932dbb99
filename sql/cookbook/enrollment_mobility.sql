-- How many students came, left and changed schools between two days?
--
-- How to read it: one row per school. `stayed` and `left_school` make up those of the first day,
-- `stayed` and `came` those of the last one. `came_from_district` and `left_for_district` are those
-- of them who were, or are, in another school of the district; the rest came or left altogether.
--
-- Caveats: a student with classes in two schools counts in both. Who came and left again between
-- the days is not in it. The days must not be before the district's first delivery, nor in holidays
-- when no enrollment holds.
with asked as (
    select 'quillmere' as district_id, date '2026-10-01' as first_day, date '2027-05-20' as last_day
),
attended as (
    select distinct
        e.district_id, e.user_id, e.school_id, d.is_last
    from asked a
    cross join (values (false), (true)) as d (is_last)
    join marts.fct_enrollment e
        on e.district_id = a.district_id and e.role = 'student'
        and e.valid_from <= case when d.is_last then a.last_day else a.first_day end
        and (e.valid_to is null
            or e.valid_to > case when d.is_last then a.last_day else a.first_day end)
        and (e.begin_date is null
            or e.begin_date <= case when d.is_last then a.last_day else a.first_day end)
        and (e.end_date is null
            or e.end_date > case when d.is_last then a.last_day else a.first_day end)
),
schooled as (
    select
        district_id, school_id, user_id,
        bool_or(not is_last) as was_here, bool_or(is_last) as is_here
    from attended
    group by district_id, school_id, user_id
),
moved as (
    select
        s.*,
        bool_or(s.was_here) over (partition by s.district_id, s.user_id) as was_in_district,
        bool_or(s.is_here) over (partition by s.district_id, s.user_id) as is_in_district
    from schooled s
)
select
    n.school_name,
    count(*) filter (where m.was_here) as students_first_day,
    count(*) filter (where m.is_here) as students_last_day,
    count(*) filter (where m.was_here and m.is_here) as stayed,
    count(*) filter (where not m.was_here) as came,
    count(*) filter (where not m.was_here and m.was_in_district) as came_from_district,
    count(*) filter (where not m.is_here) as left_school,
    count(*) filter (where not m.is_here and m.is_in_district) as left_for_district
from moved m
join marts.dim_school n on n.district_id = m.district_id and n.school_id = m.school_id
group by n.school_id, n.school_name
order by 1
