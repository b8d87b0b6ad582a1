package auditmigrate

import (
	"fmt"
	"strconv"
	"strings"

	"github.com/jackc/pgx/v5"
)

// The settings that our connections rely on, regardless of the role, the database or
// the server. They are one list in two parts.
//
// Some settings are left alone. They are the operator's choice of where and how tables
// are stored (default_tablespace, default_table_access_method), how safe a commit is
// (synchronous_commit), and whether anything may be written
// (default_transaction_read_only).

// beginReading opens the transaction of the reading calls, which see one moment: during a
// first run, they would otherwise find no records and then the version that made them. Its
// settings end with it, so that a pooler in transaction mode passes none on.
const beginReading = "BEGIN ISOLATION LEVEL REPEATABLE READ, READ ONLY; SET LOCAL statement_timeout = 0; SET LOCAL idle_in_transaction_session_timeout = 0"

// setting is a setting and its value.
type setting struct{ name, value string }

// startupSettings are sent in the message that starts a connection. A pooler in
// transaction mode knows these four and no others, so the reading calls can have them
// through one. What these calls read is numbers, names and booleans.
func startupSettings() []setting {
	return []setting{
		{"client_encoding", "UTF8"},
		{"datestyle", "ISO, YMD"},
		{"timezone", "UTC"},
		{"standard_conforming_strings", "on"},
	}
}

// sessionSettings are set by SET on a connection that changes the schema, which is a
// direct one. at is where the change happens. Its schema comes first in the
// search_path, because CREATE uses the first one. pg_temp comes last, because a
// temporary table hides others of its name if pg_temp is not listed at all.
func (m *Migrator) sessionSettings(at location, serverVersion int) []setting {
	allowDataLoss := "off" // explicit, as the role's or the database's settings may enable it
	if m.config.AllowDataLoss {
		allowDataLoss = "on"
	}
	settings := []setting{
		{"statement_timeout", "0"}, // the first, as it would also end the following ones
		{"search_path", quote(at.schema) + ", pg_temp"},
		{"lock_timeout", strconv.FormatInt(max(m.config.LockTimeout.Milliseconds(), 1), 10)},
		{"idle_in_transaction_session_timeout", "0"},
		{"default_transaction_isolation", "'read committed'"},
		{"default_transaction_deferrable", "off"},
		{"client_min_messages", "warning"}, // lower levels report what IF EXISTS did not find
		{"intervalstyle", "postgres"},
		{"quote_all_identifiers", "off"},
		{"row_security", "off"}, // an error instead of a trail that looks empty
		{"exit_on_error", "off"},
		{"check_function_bodies", "on"},
		{"transform_null_equals", "off"},
		{"coordaudit.allow_data_loss", allowDataLoss},
		// Without Citus, these two are names without an effect. A distributed table takes
		// our triggers only under the first one, and under the second one it can be dropped
		// after a statement of the same transaction has read it.
		{"citus.enable_unsafe_triggers", "on"},
		{"citus.multi_shard_modify_mode", "sequential"},
	}
	if serverVersion >= 14 {
		settings = append(settings, setting{"idle_session_timeout", "0"})
	}
	if serverVersion >= 17 {
		settings = append(settings, setting{"transaction_timeout", "0"})
	}
	return settings
}

// setUpConnect puts the startup settings into the configuration. They replace those of
// the URL.
func (m *Migrator) setUpConnect() {
	params := m.connConfig.RuntimeParams
	for _, s := range startupSettings() {
		for name := range params {
			if strings.EqualFold(name, s.name) {
				delete(params, name)
			}
		}
		params[s.name] = s.value
	}
}

func setStatements(settings []setting) string {
	var text strings.Builder
	for _, s := range settings {
		fmt.Fprintf(&text, "SET %s = %s;", s.name, s.value)
	}
	return text.String()
}

// serverVersion is the server's major version, 0 if it does not report one.
func serverVersion(conn *pgx.Conn) int {
	text := conn.PgConn().ParameterStatus("server_version")
	digits := strings.IndexFunc(text, func(r rune) bool { return r < '0' || r > '9' })
	if digits >= 0 {
		text = text[:digits]
	}
	version, _ := strconv.Atoi(text) // a server without a version counts as an old one
	return version
}
