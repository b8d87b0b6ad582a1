#!/bin/sh
# Runs once, in the database's container, when its volume is empty: the roles of the trail, and
# a database that none of them owns. migrate grants gives them their rights.
set -eu
password() { cut -d: -f5- "${SECRETS:-/run/secrets}/$1"; }

psql --set=ON_ERROR_STOP=1 --username postgres --dbname postgres \
	--set=owner="$(password coordaudit_owner)" --set=service="$(password coordaudit_service)" \
	--set=reader="$(password coordaudit_reader)" --set=sealer="$(password coordaudit_sealer)" <<-'SQL'
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
