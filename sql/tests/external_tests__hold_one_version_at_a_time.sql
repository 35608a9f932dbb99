-- A version of a row in the tables of external tests ends after it begins and before the next one
-- begins: no row has two versions on one day, or two that still hold.
select district_id, table_name, result_id, valid_from, valid_to, next_from
from (
    select
        district_id, table_name, result_id, valid_from, valid_to,
        lead(valid_from) over (
            partition by district_id, table_name, result_id order by valid_from, valid_to nulls last
        ) as next_from
    from (
        select district_id, 'assignments' as table_name, result_id, valid_from, valid_to
        from external_tests.assignments t
        union all
        select district_id, 'results', result_id, valid_from, valid_to
        from external_tests.results t
        union all
        select district_id, 'question_results', result_id, valid_from, valid_to
        from external_tests.question_results t
        union all
        select district_id, 'import_calls', result_id, valid_from, valid_to
        from external_tests.import_calls t
        union all
        select district_id, 'quarantine', result_id, valid_from, valid_to
        from external_tests.quarantine t
    ) rows_of_tests
) versions
where valid_to <= valid_from
    or next_from <= valid_from
    or (next_from is not null and (valid_to is null or valid_to > next_from))
