-- An uploaded drop has one row for each source in marts.rpt_upload_quality.
select district_id, source, drop_id, count(*) as copies
from marts.rpt_upload_quality t
group by district_id, source, drop_id
having count(*) > 1
