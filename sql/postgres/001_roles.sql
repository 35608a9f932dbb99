-- The two groups of readers, which own nothing and cannot sign in. Where the warehouse's user may not
-- create roles, nothing happens, and an administrator of the server runs this file once.
do $$
begin
    create role edpipeline_analyst nologin;
exception
    -- It is there, perhaps made this moment for another database of the server; or we may not.
    when duplicate_object or unique_violation or insufficient_privilege then null;
end $$;

do $$
begin
    create role edpipeline_steward nologin;
exception
    when duplicate_object or unique_violation or insufficient_privilege then null;
end $$;
