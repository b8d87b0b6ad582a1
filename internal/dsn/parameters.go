package dsn

import (
	_ "embed"
	"fmt"
	"regexp"
	"slices"
	"strings"
)

// sessionSettings are the names of the settings that a session of PostgreSQL 15 to 19 may
// change, one per line.
//
//go:embed session_settings.txt
var sessionSettings string

// connectionParameters are the parameters that pgx reads, in its spelling and in libpq's.
func connectionParameters() []string {
	return []string{
		"host", "port", "dbname", "database", "user", "password", "passfile", "connect_timeout",
		"sslmode", "ssl", "sslkey", "sslcert", "sslcertmode", "sslrootcert", "sslnegotiation", "sslpassword", "sslsni",
		"krbspn", "krbsrvname", "target_session_attrs", "service", "servicefile",
		"min_protocol_version", "max_protocol_version", "channel_binding", "require_auth", "options",
		"default_query_exec_mode", "statement_cache_capacity", "description_cache_capacity",
	}
}

// poolParameters are the parameters that pgxpool reads.
func poolParameters() []string {
	return []string{
		"pool_max_conns", "pool_min_conns", "pool_min_idle_conns", "pool_max_conn_lifetime", "pool_max_conn_lifetime_jitter",
		"pool_max_conn_idle_time", "pool_health_check_period", "pool_ping_timeout",
	}
}

// foreignParameters are the most common parameters of other clients, with what to do.
func foreignParameters() map[string]string {
	const (
		ofLibpq = "pgx does not support it"
		ofPool  = "use pool_max_conns"
		ofTime  = "use connect_timeout, in seconds"
		ofMode  = "behind a pooler use default_query_exec_mode=cache_describe or exec"
		ofTLS   = "use sslmode"
		ofName  = "use application_name"
	)
	return map[string]string{
		"keepalives": ofLibpq + ": TCP keepalives are on", "keepalives_idle": ofLibpq + ": use tcp_keepalives_idle for the server's side",
		"keepalives_interval": ofLibpq + ": use tcp_keepalives_interval for the server's side",
		"keepalives_count":    ofLibpq + ": use tcp_keepalives_count for the server's side",
		"gssencmode":          ofLibpq, "gsslib": ofLibpq, "gssdelegation": ofLibpq, "requirepeer": ofLibpq, "requiressl": ofTLS,
		"sslcrl": ofLibpq, "sslcrldir": ofLibpq, "sslcompression": ofLibpq, "sslkeylogfile": ofLibpq,
		"ssl_min_protocol_version": ofLibpq, "ssl_max_protocol_version": ofLibpq,
		"hostaddr": "use host", "fallback_application_name": ofName, "load_balance_hosts": ofLibpq + ": the hosts are tried in order",
		"replication": "the audit trail needs no replication connection", "scram_client_key": ofLibpq, "scram_server_key": ofLibpq,
		"schema": "use search_path", "currentschema": "use search_path", "searchpath": "use search_path",
		"pgbouncer": ofMode, "preparethreshold": ofMode, "prepared_statements": ofMode, "prefer_simple_protocol": ofMode,
		"statement_cache_mode": "use default_query_exec_mode", "statement_cache_size": "use statement_cache_capacity",
		"binary_parameters": "use default_query_exec_mode",
		"connection_limit":  ofPool, "max_connections": ofPool, "max_conns": ofPool, "maximumpoolsize": ofPool, "maxpoolsize": ofPool, "pool_size": ofPool,
		"pool_timeout": "Config.Timeout bounds each call", "sockettimeout": "Config.Timeout bounds each call", "querytimeout": "Config.Timeout bounds each call",
		"logintimeout": ofTime, "connecttimeout": ofTime, "connection_timeout": ofTime, "timeout": ofTime,
		"sslaccept": ofTLS, "sslcertfile": "use sslcert", "sslkeyfile": "use sslkey", "sslca": "use sslrootcert", "sslidentity": "use sslcert and sslkey",
		"tlsmode": ofTLS, "tls": ofTLS, "applicationname": ofName, "appname": ofName,
		"charset": "use client_encoding", "encoding": "use client_encoding", "tz": "use timezone", "loc": "use timezone", "parsetime": "times are UTC in any case",
		"username": "use user", "passwd": "use password", "pwd": "use password", "pass": "use password", "db": "use dbname", "hostname": "use host",
		"server": "use host", "readonly": "use default_transaction_read_only", "targetservertype": "use target_session_attrs",
	}
}

func isConnectionParameter(name string) bool {
	return slices.Contains(connectionParameters(), name) || slices.Contains(poolParameters(), name)
}

// known reports whether pgx reads a parameter or a server takes it. Names with a dot belong
// to extensions or to the user, and a server takes any of them.
func known(name string) bool {
	if isConnectionParameter(name) {
		return true
	}
	if regexp.MustCompile(`^[A-Za-z_][A-Za-z0-9_$]*(\.[A-Za-z_][A-Za-z0-9_$]*)+$`).MatchString(name) {
		return true
	}
	return slices.Contains(strings.Fields(sessionSettings), strings.ToLower(name))
}

// anyKnown distinguishes settings from a text that has a = in it by chance.
func anyKnown(settings []setting) bool {
	return slices.ContainsFunc(settings, func(one setting) bool {
		_, foreign := foreignParameters()[strings.ToLower(one.name)]
		return foreign || known(one.name)
	})
}

// checkSettings refuses parameters that neither pgx nor a server knows. A server would
// answer 42704 and write the parameter to its log, and it may be the end of a password with
// a bare & or blank in it. So the error shows a name only if it cannot be that.
func checkSettings(settings []setting) error {
	secret := slices.ContainsFunc(settings, func(one setting) bool { return strings.Contains(one.name+one.value, "@") })
	for _, one := range settings {
		if strings.ContainsRune(one.name+one.value, 0) {
			return errSpecialCharacter
		}
		lower := strings.ToLower(one.name)
		secret = secret || regexp.MustCompile(`pass|pwd|secret`).MatchString(lower)
		if known(one.name) {
			continue
		}
		subject := "one of its parameters"
		hint, foreign := foreignParameters()[lower]
		switch {
		case foreign:
			subject = "its parameter " + lower
		case known(lower):
			subject, hint = "its parameter "+lower, "write it in lower case"
		case secret || !regexp.MustCompile(`^[A-Za-z_][A-Za-z0-9_-]{0,40}$`).MatchString(one.name):
			hint = "check their names; in a URL, write & as %26 and = as %3D"
		default:
			subject, hint = "its parameter "+one.name, "check its name"
		}
		return fmt.Errorf("neither PostgreSQL nor pgx knows %s: %s, or remove it; put a setting of a newer server into options", subject, hint)
	}
	return nil
}
