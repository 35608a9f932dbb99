-- Every district and source in the history has a row in marts.rpt_sync_health, for its latest
-- delivery day.
select h.district_id, h.source, h.last_day, r.last_delivery_day
from (
    select district_id, source, max(delivery_day) as last_day
    from ops.sync_history s
    group by district_id, source
) h
left join marts.rpt_sync_health r on r.district_id = h.district_id and r.source = h.source
where r.last_delivery_day is distinct from h.last_day
