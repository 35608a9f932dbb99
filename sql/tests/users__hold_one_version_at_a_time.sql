-- A version of a record in roster.users ends after it begins and before the next one begins: no
-- person has two versions on one day, or two that still hold.
select district_id, sourced_id, valid_from, valid_to, next_from
from (
    select
        district_id, sourced_id, valid_from, valid_to,
        lead(valid_from) over (
            partition by district_id, sourced_id order by valid_from, valid_to nulls last
        ) as next_from
    from roster.users t
) versions
where valid_to <= valid_from
    or next_from <= valid_from
    or (next_from is not null and (valid_to is null or valid_to > next_from))
