-- Of an uploaded drop, rows read are accepted or rejected, and no more results are matched, or lack
-- a school, than count.
select district_id, source, drop_id, rows_read, rows_accepted, rows_rejected
from marts.rpt_upload_quality t
where rows_read <> rows_accepted + rows_rejected
    or least(rows_read, rows_accepted, rows_rejected, matched_count, schoolless_count) < 0
    or matched_count + schoolless_count > result_count
    or match_rate not between 0 and 1
