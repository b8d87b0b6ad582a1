package auditotel_test

import (
	"encoding/json"
	"fmt"
	"os"
	"regexp"
	"strings"
	"testing"
)

const dashboardFile = "../deploy/grafana/coordaudit.json"

type dashboard struct {
	Panels []struct {
		ID          int
		Type, Title string
		Description string
		Datasource  struct{ Type, UID string }
		GridPos     struct{ H, W, X, Y int }
		Targets     []struct{ RefID, Expr, LegendFormat string }
		FieldConfig map[string]any
		Options     map[string]any
		Collapsed   bool
	}
	Templating struct {
		List []struct{ Name, Type string }
	}
}

func readDashboard(t *testing.T) dashboard {
	t.Helper()
	text, err := os.ReadFile(dashboardFile)
	if err != nil {
		t.Fatal(err)
	}
	var board dashboard
	if err := json.Unmarshal(text, &board); err != nil {
		t.Fatal(err)
	}
	return board
}

// plain replaces the variables of Grafana by what they stand for.
func plain(expr string) string {
	expr = regexp.MustCompile(`,?job=~"\$job",?`).ReplaceAllString(expr, "")
	return strings.ReplaceAll(strings.ReplaceAll(expr, "{}", ""), "$__rate_interval", "5m")
}

func TestDashboardUsesExported(t *testing.T) {
	t.Parallel()
	metrics := exported(t)
	shown := map[string]bool{}
	for _, panel := range readDashboard(t).Panels {
		if panel.Type == "row" {
			continue
		}
		if len(panel.Targets) == 0 || panel.Description == "" || panel.Datasource.UID != "${datasource}" {
			t.Errorf("panel %q lacks a query, a description or the data source", panel.Title)
		}
		for _, target := range panel.Targets {
			expr := plain(target.Expr)
			if strings.Contains(expr, "$") {
				t.Errorf("panel %q has an unknown variable: %s", panel.Title, target.Expr)
			}
			if strings.Count(target.Expr, `job=~"$job"`) != strings.Count(target.Expr, "{") {
				t.Errorf("panel %q shows jobs that are not chosen: %s", panel.Title, target.Expr)
			}
			if err := asksFor(metrics, expr); err != nil {
				t.Errorf("panel %q: %v", panel.Title, err)
			}
			for _, label := range regexp.MustCompile(`\{\{(\w+)\}\}`).FindAllStringSubmatch(target.LegendFormat, -1) {
				if err := namesLabels(expr, "$labels."+label[1]); err != nil {
					t.Errorf("panel %q: %v", panel.Title, err)
				}
			}
			for name := range metrics {
				if regexp.MustCompile(`\b` + name + `\b`).MatchString(expr) {
					shown[name] = true
				}
			}
		}
	}
	hidden := map[string]bool{
		"coordaudit_recorder_batches_total": true, "coordaudit_recorder_batched_records_total": true, "coordaudit_recorder_flush_time_seconds_total": true, // averages, which the histograms show
	}
	for name := range metrics {
		base := strings.TrimSuffix(strings.TrimSuffix(strings.TrimSuffix(name, "_bucket"), "_sum"), "_count")
		if strings.HasPrefix(name, "coord") && !shown[name] && !shown[base+"_bucket"] && !shown[base+"_sum"] && !hidden[name] {
			t.Errorf("no panel shows %s", name)
		}
	}
}

func TestDashboardPanelsDoNotOverlap(t *testing.T) {
	t.Parallel()
	taken, ids := map[string]string{}, map[int]bool{}
	for _, panel := range readDashboard(t).Panels {
		if ids[panel.ID] || panel.GridPos.X+panel.GridPos.W > 24 || panel.GridPos.W == 0 {
			t.Errorf("panel %q has the id of another one, or does not fit", panel.Title)
		}
		ids[panel.ID] = true
		for x := panel.GridPos.X; x < panel.GridPos.X+panel.GridPos.W; x++ {
			for y := panel.GridPos.Y; y < panel.GridPos.Y+panel.GridPos.H; y++ {
				cell := fmt.Sprintf("%d/%d", x, y)
				if other, ok := taken[cell]; ok {
					t.Fatalf("panels %q and %q overlap", panel.Title, other)
				}
				taken[cell] = panel.Title
			}
		}
	}
}
