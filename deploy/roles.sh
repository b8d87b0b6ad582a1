#!/bin/sh
# Runs once, in the database's container, when its volume is empty: the roles of the trail, and
# a database that none of them owns. migrate grants gives them their rights.
set -eu
export SECRETS="${SECRETS:-/run/secrets}"

# psql reads the passwords itself, as `ps` shows its arguments.
psql --set=ON_ERROR_STOP=1 --username postgres --dbname postgres <<-'SQL'
	\set owner `cut -d: -f5- "$SECRETS/coordaudit_owner"`
	\set service `cut -d: -f5- "$SECRETS/coordaudit_service"`
	\set reader `cut -d: -f5- "$SECRETS/coordaudit_reader"`
	\set sealer `cut -d: -f5- "$SECRETS/coordaudit_sealer"`
	SELECT '' IN (:'owner', :'service', :'reader', :'sealer') AS missing \gset
	\if :missing
	DO $$ BEGIN RAISE EXCEPTION 'a secret is missing: run deploy/secrets.sh'; END $$;
	\endif
	CREATE ROLE coordaudit_owner LOGIN PASSWORD :'owner';
	CREATE ROLE coordaudit_service LOGIN PASSWORD :'service';
	CREATE ROLE coordaudit_reader LOGIN PASSWORD :'reader';
	CREATE ROLE coordaudit_sealer LOGIN PASSWORD :'sealer';
	GRANT pg_monitor TO coordaudit_owner; -- for migrate doctor
	CREATE DATABASE audit ENCODING 'UTF8' TEMPLATE template0;
	REVOKE ALL ON DATABASE audit FROM PUBLIC;
	GRANT CONNECT ON DATABASE audit TO coordaudit_owner, coordaudit_service, coordaudit_reader, coordaudit_sealer;
	\connect audit
	REVOKE CREATE ON SCHEMA public FROM PUBLIC; -- before 15, every role has it
	GRANT USAGE, CREATE ON SCHEMA public TO coordaudit_owner;
SQL
