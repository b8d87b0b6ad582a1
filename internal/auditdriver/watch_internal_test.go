package auditdriver

import (
	"context"
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

// Each setting that makes an acknowledgement promise less is named with its value, and no other.
func TestWeaknessesAreNamed(t *testing.T) {
	t.Parallel()
	sound := settings{clientMinMessages: "notice", synchronousCommit: "on", fsync: "on", fullPageWrites: "on"}
	for name, test := range map[string]struct {
		change  func(s *session)
		want    map[string]string
		meaning string
	}{
		"Sound":        {func(*session) {}, nil, ""},
		"Off":          {func(s *session) { s.settings.synchronousCommit = "off" }, map[string]string{"synchronous_commit": "off"}, "last moments"},
		"Local":        {func(s *session) { s.settings.synchronousCommit = "local" }, map[string]string{"synchronous_commit": "local"}, "does not wait for any standby"},
		"RemoteWrite":  {func(s *session) { s.settings.synchronousCommit = "remote_write" }, map[string]string{"synchronous_commit": "remote_write"}, "a standby may lose"},
		"RemoteApply":  {func(s *session) { s.settings.synchronousCommit = "remote_apply" }, nil, ""},
		"NoFsync":      {func(s *session) { s.settings.fsync = "off" }, map[string]string{"fsync": "off"}, "damage the database"},
		"NoFullPages":  {func(s *session) { s.settings.fullPageWrites = "off" }, map[string]string{"full_page_writes": "off"}, "writes pages as a whole"},
		"Hidden":       {func(s *session) { s.settings.clientMinMessages = "error" }, map[string]string{"client_min_messages": "error"}, "hidden"},
		"HiddenFatal":  {func(s *session) { s.settings.clientMinMessages = "fatal" }, map[string]string{"client_min_messages": "fatal"}, "hidden"},
		"HiddenPanic":  {func(s *session) { s.settings.clientMinMessages = "panic" }, map[string]string{"client_min_messages": "panic"}, "hidden"},
		"HeardAnyway":  {func(s *session) { s.settings.clientMinMessages, s.listens = "error", true }, nil, ""},
		"OffAndNoSync": {func(s *session) { s.settings.synchronousCommit, s.settings.fsync = "off", "off" }, map[string]string{"synchronous_commit": "off", "fsync": "off"}, ""},
	} {
		s := &session{settings: sound}
		test.change(s)
		var got map[string]string
		for _, weakness := range weaknesses(s) {
			if got == nil {
				got = map[string]string{}
			}
			got[weakness.Setting] = weakness.Value
			if !strings.Contains(weakness.Meaning, test.meaning) || weakness.Meaning == "" {
				t.Errorf("%s: the meaning of %s is %q", name, weakness.Setting, weakness.Meaning)
			}
		}
		if diff := cmp.Diff(test.want, got); diff != "" {
			t.Errorf("%s: settings (-want +got):\n%s", name, diff)
		}
	}
}

// A server is a failover's only if another one took the writes before, and only the first time.
func TestFailoverIsReportedOnce(t *testing.T) {
	t.Parallel()
	d := New(nil)
	var failovers []Failover
	var weak, unknown int
	d.Watch(Events{
		FailedOver:        func(_ context.Context, f Failover) { failovers = append(failovers, f) },
		DurabilityReduced: func(context.Context, Weakness) { weak++ },
		ServerUnknown:     func(context.Context, error) { unknown++ },
	})
	first, second := identity{7, "1"}, identity{7, "0000001F"}
	at := time.Date(2026, 1, 2, 3, 4, 5, 6000, time.UTC)
	look := func(s *session) { d.observe(t.Context(), s) }
	look(&session{identity: identity{system: 7}}) // a standby
	look(&session{identity: first})
	look(&session{identity: first})
	if len(failovers) > 0 || d.Failovers() != 0 {
		t.Errorf("failovers %+v before there was a second server", failovers)
	}
	d.lastAcknowledged.Store(at.UnixMicro())
	look(&session{identity: second})
	look(&session{identity: second})
	look(&session{identity: first}) // a load balancer in front of both
	if len(failovers) != 1 || d.Failovers() != 1 {
		t.Fatalf("failovers %+v, counted %d, want one", failovers, d.Failovers())
	}
	if f := failovers[0]; f.From != "7/1" || f.To != "7/31" || !f.LastAcknowledged.Equal(at) || time.Since(f.Noticed) > time.Minute {
		t.Errorf("failover %+v", f)
	}
	for range 2 {
		look(&session{identified: errors.New("no"), identity: identity{9, "1"}})
		look(&session{settings: settings{fsync: "off"}})
	}
	if weak != 1 || unknown != 1 || d.Failovers() != 1 {
		t.Errorf("%d weaknesses, %d unknown servers and %d failovers are reported, want one each", weak, unknown, d.Failovers())
	}
	look(&session{settings: settings{fullPageWrites: "off"}})
	if weak != 2 {
		t.Errorf("%d weaknesses are reported, want the second one as well", weak)
	}
}

// Without a commit before it, a failover names none.
func TestFailoverBeforeAnyCommit(t *testing.T) {
	t.Parallel()
	d := New(nil)
	d.meet(identity{7, "1"})
	f, met := d.meet(identity{8, "odd"})
	if !met || !f.LastAcknowledged.IsZero() || f.To != "8/odd" {
		t.Errorf("%+v, %t", f, met)
	}
	d = New(nil)
	d.observe(t.Context(), &session{identified: errors.New("no"), settings: settings{fsync: "off"}}) // no one listens
}
