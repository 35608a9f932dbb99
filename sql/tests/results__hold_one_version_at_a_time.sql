-- A version of a row in the tables of results ends after it begins and before the next one begins:
-- no row has two versions on one day, or two that still hold.
select district_id, table_name, result_id, valid_from, valid_to, next_from
from (
    select
        district_id, table_name, result_id, valid_from, valid_to,
        lead(valid_from) over (
            partition by district_id, table_name, result_id order by valid_from, valid_to nulls last
        ) as next_from
    from (
        select district_id, 'nwea_map' as table_name, result_id, valid_from, valid_to
        from assessments.nwea_map t
        union all
        select district_id, 'nwea_map_students', result_id, valid_from, valid_to
        from assessments.nwea_map_students t
        union all
        select district_id, 'act_aspire', result_id, valid_from, valid_to
        from assessments.act_aspire t
        union all
        select district_id, 'act_aspire_wide', result_id, valid_from, valid_to
        from assessments.act_aspire_wide t
        union all
        select district_id, 'staar', result_id, valid_from, valid_to
        from assessments.staar t
        union all
        select district_id, 'staar_eoc', result_id, valid_from, valid_to
        from assessments.staar_eoc t
        union all
        select district_id, 'staar_long', result_id, valid_from, valid_to
        from assessments.staar_long t
        union all
        select district_id, 'staar_interim', result_id, valid_from, valid_to
        from assessments.staar_interim t
        union all
        select district_id, 'adam', result_id, valid_from, valid_to
        from assessments.adam t
    ) rows_of_results
) versions
where valid_to <= valid_from
    or next_from <= valid_from
    or (next_from is not null and (valid_to is null or valid_to > next_from))
