-- One row per district and class: a section of a course, or a homeroom, also those that ended.
-- What stands in a row is what the roster said last.
-- Key: district_id, class_id
-- Fresh: The latest roster delivery.
-- Caveats: No history: titles, teachers and numbers are the latest. Who was in a class on a day is
--   in marts.fct_enrollment.
--
-- district_id: District that the row belongs to.
-- class_id: Identifier of the class in the roster.
-- is_current: True while the latest delivery has the class.
-- first_seen_on: Delivery day that first listed the class.
-- last_seen_on: Last day on which the roster held the class; null while is_current.
-- class_title: Name of the class as teachers and families see it.
-- class_code: Short code people use for the class; leading zeros count.
-- class_type: homeroom, or scheduled; null where the delivery does not say.
-- location: Where the class meets, such as a room number.
-- periods: Periods of the school day in which the class meets, in the words of the school.
-- grades: Grade levels the class is meant for, separated by commas.
-- subjects: Names of the subjects: those of the class, else those of its course.
-- course_id: Course of which the class is a section.
-- course_title: Name of the course in the catalog; null without a file of courses.
-- course_code: Code of the course in the catalog; null without a file of courses.
-- school_id: School that holds the class.
-- school_name: Name of that school, where it is known.
-- school_year: Year in which the school year ends, such as 2027.
-- school_year_source: terms (the delivery says it) or first seen (taken from the day on which the
--   class first came; school years begin on 1 July).
-- term_ids: Sessions in which the class meets, as delivered.
-- terms: Titles of those sessions by their begin, separated by commas; null without sessions.
-- begin_date: First day of its earliest session, inclusive; null without sessions.
-- end_date: Last day of its latest session, exclusive; null without sessions.
-- teacher_count: People who teach the class by the latest delivery, on its delivery day.
-- student_count: Students of the class by the latest delivery, on its delivery day.
with roster_day as (
    select district_id, max(delivery_day) as last_day
    from ops.sync_files f
    where table_name like 'roster.%' and status <> 'kept'
    group by district_id
),
versions as (
    select
        c.*,
        min(c.valid_from) over (partition by c.district_id, c.sourced_id) as first_seen_on,
        row_number() over (
            partition by c.district_id, c.sourced_id order by c.valid_from desc
        ) as recency
    from roster.classes c
    where c.status <> 'tobedeleted'
),
classes as (
    select * from versions where recency = 1
),
courses as (
    select
        k.district_id, k.sourced_id, k.title, k.course_code, k.subjects,
        row_number() over (
            partition by k.district_id, k.sourced_id order by k.valid_from desc
        ) as recency
    from roster.courses k
    where k.status <> 'tobedeleted'
),
sessions as (
    select
        t.district_id, t.sourced_id, t.title, t.start_date, t.end_date, t.school_year,
        row_number() over (
            partition by t.district_id, t.sourced_id order by t.valid_from desc
        ) as recency
    from roster.academic_sessions t
    where t.status <> 'tobedeleted'
),
term_lists as (
    select distinct district_id, term_sourced_ids
    from classes
    where term_sourced_ids is not null
),
listed_terms as (
    select
        district_id, term_sourced_ids, unnest(string_to_array(term_sourced_ids, ',')) as term_id
    from term_lists
),
terms as (
    select
        l.district_id, l.term_sourced_ids,
        string_agg(t.title, ',' order by t.start_date, cast(t.title as varchar) collate "C")
            as titles,
        min(t.start_date) as begin_date,
        max(t.end_date) as end_date,
        max(t.school_year) as school_year
    from listed_terms l
    join sessions t on t.district_id = l.district_id and t.sourced_id = l.term_id and t.recency = 1
    group by l.district_id, l.term_sourced_ids
),
-- Marked as deleted in a delta, while enrollments of theirs were left standing.
deleted_users as (
    select district_id, sourced_id
    from roster.users u
    where valid_to is null and status = 'tobedeleted'
),
people as (
    select
        e.district_id, e.class_sourced_id,
        count(distinct case when e.role = 'teacher' then e.user_sourced_id end) as teachers,
        count(distinct case when e.role = 'student' then e.user_sourced_id end) as students
    from roster.current_enrollments e
    join roster_day d on d.district_id = e.district_id
    left join deleted_users x
        on x.district_id = e.district_id and x.sourced_id = e.user_sourced_id
    where x.sourced_id is null
        and (e.begin_date is null or e.begin_date <= d.last_day)
        and (e.end_date is null or e.end_date > d.last_day)
    group by e.district_id, e.class_sourced_id
)
select
    c.district_id,
    c.sourced_id as class_id,
    c.valid_to is null as is_current,
    c.first_seen_on,
    cast(c.valid_to - interval '1 day' as date) as last_seen_on,
    c.title as class_title,
    c.class_code,
    c.class_type,
    c.location,
    c.periods,
    c.grades,
    coalesce(c.subjects, k.subjects) as subjects,
    c.course_sourced_id as course_id,
    k.title as course_title,
    k.course_code,
    c.school_sourced_id as school_id,
    s.school_name,
    cast(
        coalesce(t.school_year, extract(year from c.first_seen_on + interval '6 months')) as integer
    ) as school_year,
    case when t.school_year is not null then 'terms' else 'first seen' end as school_year_source,
    c.term_sourced_ids as term_ids,
    t.titles as terms,
    t.begin_date,
    t.end_date,
    case when c.valid_to is null then coalesce(p.teachers, 0) else 0 end as teacher_count,
    case when c.valid_to is null then coalesce(p.students, 0) else 0 end as student_count
from classes c
left join courses k
    on k.district_id = c.district_id and k.sourced_id = c.course_sourced_id and k.recency = 1
left join terms t
    on t.district_id = c.district_id and t.term_sourced_ids = c.term_sourced_ids
left join marts.dim_school s
    on s.district_id = c.district_id and s.school_id = c.school_sourced_id
left join people p on p.district_id = c.district_id and p.class_sourced_id = c.sourced_id
