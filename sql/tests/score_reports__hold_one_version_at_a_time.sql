-- A version of a row in the tables of score reports ends after it begins and before the next one
-- begins: no row has two versions on one day, or two that still hold.
select district_id, table_name, result_id, valid_from, valid_to, next_from
from (
    select
        district_id, table_name, result_id, valid_from, valid_to,
        lead(valid_from) over (
            partition by district_id, table_name, result_id order by valid_from, valid_to nulls last
        ) as next_from
    from (
        select district_id, 'catalog' as table_name, result_id, valid_from, valid_to
        from score_reports.catalog t
        union all
        select district_id, 'requests', result_id, valid_from, valid_to
        from score_reports.requests t
    ) rows_of_reports
) versions
where valid_to <= valid_from
    or next_from <= valid_from
    or (next_from is not null and (valid_to is null or valid_to > next_from))
