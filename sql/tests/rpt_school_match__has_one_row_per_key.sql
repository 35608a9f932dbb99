-- A school of a vendor has one row in marts.rpt_school_match.
select district_id, source, vendor_school_id, count(*) as copies
from marts.rpt_school_match t
group by district_id, source, vendor_school_id
having count(*) > 1
