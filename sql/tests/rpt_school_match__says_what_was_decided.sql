-- A school of a vendor is matched with the school of marts.dim_school that a person named, has none
-- where a person said so, and waits in every other case.
select t.district_id, t.source, t.vendor_school_id, t.decision, t.school_id
from marts.rpt_school_match t
left join ops.school_matches m
    on m.district_id = t.district_id and m.source = t.source
    and m.vendor_school_id = t.vendor_school_id
left join marts.dim_school s on s.district_id = m.district_id and s.school_id = m.school_id
where t.school_id is distinct from s.school_id
    or t.decision <> case
        when s.school_id is not null then 'matched'
        when m.decided_at is not null and m.school_id is null then 'no_matching_school'
        else 'school_not_matched'
    end
    or t.waiting_count <> case
        when t.decision = 'school_not_matched' then t.result_count
        else 0
    end
