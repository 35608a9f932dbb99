-- A source has one row in marts.rpt_sync_health.
select district_id, source, count(*) as copies
from marts.rpt_sync_health t
group by district_id, source
having count(*) > 1
