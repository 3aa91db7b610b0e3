-- Distributes the tables of a migrated database over the workers of a Citus cluster, each saga and all that belongs to
-- it by the saga's id. See docs/operations.md, "Beyond one PostgreSQL".
--
--     psql "$OWNER_URL" -v ON_ERROR_STOP=1 -v shards=32 -f deploy/postgres/citus.sql
--
-- Stop the service first. Every node needs citus.enable_unsafe_triggers = on: a trigger of the saga writes the journal
-- on the saga's own shard. Everything is one transaction.

\if :{?shards}
\else
    \set shards 32
\endif

BEGIN;
SET LOCAL citus.multi_shard_modify_mode = 'sequential';

CREATE TEMPORARY TABLE whole ON COMMIT DROP AS
    SELECT format('%I', tablename) AS name FROM pg_tables
    WHERE schemaname = current_schema() AND tablename <> 'alembic_version';

-- Tenants are not kept apart here: a policy cannot read the table of sagas on a shard.
DO $$
DECLARE of record;
BEGIN
    IF (SELECT relkind = 'p' FROM pg_class WHERE oid = 'saga'::regclass) THEN
        RAISE EXCEPTION 'this database is partitioned by month (saga partition), which Citus does not take';
    END IF;
    IF EXISTS (SELECT FROM saga WHERE tenant IS NOT NULL) OR EXISTS (SELECT FROM api_key WHERE tenant IS NOT NULL)
        OR EXISTS (SELECT FROM user_account WHERE tenant IS NOT NULL) THEN
        RAISE EXCEPTION 'this database has tenants, which Citus would not keep apart';
    END IF;
    FOR of IN SELECT tablename, policyname FROM pg_policies WHERE schemaname = current_schema() LOOP
        EXECUTE format('DROP POLICY %I ON %I', of.policyname, of.tablename);
        EXECUTE format('ALTER TABLE %I DISABLE ROW LEVEL SECURITY', of.tablename);
    END LOOP;
END $$;

-- A unique key must have the column by which the table is distributed. The parent's lock keeps its children apart.
DROP INDEX saga_children;
CREATE INDEX saga_children ON saga (parent_id, parent_step, child_number) WHERE parent_id IS NOT NULL;
ALTER TABLE outbox DROP CONSTRAINT outbox_pkey, ADD PRIMARY KEY (id, saga_id);
CREATE INDEX outbox_at ON outbox (at, id);
ALTER TABLE webhook_delivery DROP CONSTRAINT webhook_delivery_pkey, ADD PRIMARY KEY (id, saga_id);

-- The key of a request is not on the shard of its saga: the service writes and deletes it, in the saga's transaction.
DROP TRIGGER saga_request_key ON saga;
CREATE OR REPLACE FUNCTION saga_pruned() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    DELETE FROM journal WHERE saga_id = old.id;
    RETURN old;
END $$;

-- A foreign key can be made between distributed tables only.
CREATE TEMPORARY TABLE key_of_saga ON COMMIT DROP AS
    SELECT conrelid::regclass AS name, conname, pg_get_constraintdef(oid) AS definition
    FROM pg_constraint WHERE contype = 'f' AND confrelid = 'saga'::regclass;
DO $$
DECLARE key record;
BEGIN
    FOR key IN SELECT * FROM key_of_saga LOOP
        EXECUTE format('ALTER TABLE %s DROP CONSTRAINT %I', key.name, key.conname);
    END LOOP;
END $$;
SELECT create_distributed_table('saga', 'id', colocate_with => 'none', shard_count => :shards);
SELECT create_distributed_table(name, 'saga_id', colocate_with => 'saga')
FROM unnest(ARRAY['journal', 'arrival', 'saga_tag', 'saga_case', 'presence', 'outbox', 'webhook_delivery']) AS name;
DO $$
DECLARE key record;
BEGIN
    FOR key IN SELECT * FROM key_of_saga LOOP
        EXECUTE format('ALTER TABLE %s ADD CONSTRAINT %I %s', key.name, key.conname, key.definition);
    END LOOP;
END $$;

-- The other tables stay on the coordinator. Citus must know them, so that one commit with a saga is one for both.
DO $$
DECLARE other text;
BEGIN
    FOR other IN SELECT name FROM whole LOOP
        IF NOT EXISTS (SELECT FROM pg_dist_partition WHERE logicalrelid = other::regclass) THEN
            PERFORM citus_add_local_table_to_metadata(other, cascade_via_foreign_keys => true);
        END IF;
    END LOOP;
END $$;

-- The service reads this setting when it connects, see app.store.citus.
SELECT format('ALTER DATABASE %I SET saga.distributed = %L', current_database(), 'on') \gexec
COMMIT;
