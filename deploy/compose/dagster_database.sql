-- Dagster's own database, beside the warehouse. Runs once, when the server is new.
create database dagster;
