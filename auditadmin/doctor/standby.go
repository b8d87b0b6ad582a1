package doctor

import (
	"context"
	"fmt"
	"regexp"
	"strconv"
)

type replication struct {
	Names     string `json:"names"`
	Streaming int    `json:"streaming"`
	Waited    int    `json:"waited"` // those that commits wait for
}

const replicationQuery = `
	SELECT pg_catalog.jsonb_build_object(
		'names', pg_catalog.current_setting('synchronous_standby_names'),
		'streaming', pg_catalog.count(*) FILTER (WHERE r.state = 'streaming'),
		'waited', pg_catalog.count(*) FILTER (WHERE r.state = 'streaming' AND r.sync_state IN ('sync', 'quorum'))
	)::text
	FROM pg_catalog.pg_stat_replication AS r`

// checkStandbys compares the standbys that stream with those that commits wait for.
func checkStandbys(ctx context.Context, x *examination) ([]Finding, error) {
	if x.server.Recovery {
		return []Finding{{
			Severity: Notice, Object: "this server", Evidence: "a standby: it says nothing about the primary's settings, sessions and standbys",
			Repair: "run the doctor on the primary as well",
		}}, nil
	}
	if !x.server.Monitor {
		return []Finding{x.needsMonitor("the standbys")}, nil
	}
	var found replication
	if err := x.ask(ctx, &found, replicationQuery); err != nil {
		return nil, err
	}
	needed := neededStandbys(found.Names)
	f := Finding{Object: "setting synchronous_standby_names"}
	switch {
	case found.Waited < needed:
		f.Severity = Error
		f.Evidence = fmt.Sprintf("%s: every commit waits for %d, and %d are there: writers hang until they come", found.Names, needed, found.Waited)
		f.Repair = "start the standby, or accept that a failover may lose records: ALTER SYSTEM SET synchronous_standby_names = ''; SELECT pg_reload_conf();"
	case needed > 0 && found.Streaming == needed:
		f.Severity = Notice
		f.Evidence = fmt.Sprintf("%s: commits wait for all of the %d standbys that stream: when one stops, writers hang", found.Names, found.Streaming)
		f.Repair = "add a standby, so that one may be away"
	case needed == 0 && found.Streaming > 0:
		f.Severity = Warning
		f.Evidence = fmt.Sprintf("empty, and %d standbys stream: a failover to one of them may lose acknowledged records", found.Streaming)
		f.Repair = "ALTER SYSTEM SET synchronous_standby_names = 'ANY 1 (*)'; SELECT pg_reload_conf();"
	default:
		return nil, nil
	}
	return []Finding{f}, nil
}

// neededStandbys returns how many standbys a value of synchronous_standby_names makes
// commits wait for.
func neededStandbys(names string) int {
	if names == "" {
		return 0
	}
	if found := regexp.MustCompile(`(?i)^\s*(?:(?:first|any)\s+)?(\d+)\s*\(`).FindStringSubmatch(names); found != nil {
		if n, err := strconv.Atoi(found[1]); err == nil {
			return n
		}
	}
	return 1
}

// needsMonitor is the finding that only other rights can tell.
func (x *examination) needsMonitor(object string) Finding {
	return Finding{
		Severity: Unchecked, Object: object, Evidence: "not done: role " + x.server.Role + " does not see the sessions of other roles",
		Repair: "GRANT pg_monitor TO " + x.server.Role + ";",
	}
}
