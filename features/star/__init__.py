"""The star schema: what a tenant's business reports join, as Parquet, SQL views and dbt sources, from one declaration."""
