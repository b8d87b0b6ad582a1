package auditotel_test

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/prometheus/client_golang/prometheus"
	dto "github.com/prometheus/client_model/go"
	otelprometheus "go.opentelemetry.io/otel/exporters/prometheus"
	sdkmetric "go.opentelemetry.io/otel/sdk/metric"
	"go.yaml.in/yaml/v3"

	"github.com/hoc-analytics/coordaudit/audit"
	"github.com/hoc-analytics/coordaudit/auditotel"
)

const (
	rulesFile     = "../docs/alerts.rules.yml"
	rulesTestFile = "../docs/alerts.rules.test.yml"
)

// exported returns the label values of each metric that Prometheus scrapes from a
// process with an observer, a recorder, an account, a sealer and a follower.
func exported(t *testing.T) map[string]map[string][]string {
	t.Helper()
	registry := prometheus.NewRegistry()
	exporter, err := otelprometheus.New(otelprometheus.WithRegisterer(registry))
	if err != nil {
		t.Fatal(err)
	}
	provider := sdkmetric.NewMeterProvider(sdkmetric.WithReader(exporter))
	observer, err := auditotel.NewObserver(auditotel.Config{MeterProvider: provider})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := auditotel.RegisterRecorder(provider, newCounting()); err != nil {
		t.Fatal(err)
	}
	if _, err := auditotel.RegisterSealer(provider, newSealing()); err != nil {
		t.Fatal(err)
	}
	if _, _, err := auditotel.RegisterFollower(provider); err != nil {
		t.Fatal(err)
	}
	observer.ObservePersist(t.Context(), audit.Observation{EnvelopeClass: audit.Safety, Outcome: audit.Persisted})
	observer.ObserveFlush(t.Context(), audit.Flush{Records: 1})
	recordEmptyAccount(t, provider)
	families, err := registry.Gather()
	if err != nil {
		t.Fatal(err)
	}
	metrics := map[string]map[string][]string{}
	for _, family := range families {
		for _, name := range namesOf(family) {
			metrics[name] = labelsOf(family)
			if strings.HasSuffix(name, "_bucket") {
				metrics[name]["le"] = nil
			}
		}
	}
	return metrics
}

func namesOf(family *dto.MetricFamily) []string {
	name := family.GetName()
	if family.GetType() == dto.MetricType_HISTOGRAM {
		return []string{name + "_bucket", name + "_sum", name + "_count"}
	}
	return []string{name}
}

func labelsOf(family *dto.MetricFamily) map[string][]string {
	// The scrape adds these.
	labels := map[string][]string{"job": nil, "instance": nil}
	for _, metric := range family.GetMetric() {
		for _, label := range metric.GetLabel() {
			labels[label.GetName()] = append(labels[label.GetName()], label.GetValue())
		}
	}
	return labels
}

type alertRules struct {
	Groups []struct {
		Rules []struct {
			Alert       string
			Expr        string
			Annotations map[string]string
		}
	}
}

func TestAlertsUseExported(t *testing.T) {
	t.Parallel()
	metrics := exported(t)
	rules := readYAML[alertRules](t, rulesFile)
	alerts := 0
	for _, group := range rules.Groups {
		for _, rule := range group.Rules {
			alerts++
			if err := asksFor(metrics, rule.Expr); err != nil {
				t.Errorf("alert %s: %v", rule.Alert, err)
			}
			for _, annotation := range rule.Annotations {
				if err := namesLabels(rule.Expr, annotation); err != nil {
					t.Errorf("alert %s: %v", rule.Alert, err)
				}
			}
		}
	}
	if alerts != 16 {
		t.Errorf("%s has %d alerts, want 16", rulesFile, alerts)
	}
}

func TestAlertOnUnknownMetric(t *testing.T) {
	t.Parallel()
	metrics := exported(t)
	for _, expr := range []string{
		`rate(coordination_audit_failures[5m]) > 0`,
		`rate(coordaudit_persist_duration_seconds[5m]) > 0`,
		`coordaudit_recorder_queue_age > 30`,
		`min by (job) (coordaudit_sealer_look_age) > 300`,
		`sum by (class) (coordaudit_recorder_spool_depth) > 0`,
		`rate(coordination_audit_records_total{outcome="failed"}[5m]) > 0`,
		`rate(coordination_audit_records_total{coordaudit_outcome="rejected"}[5m]) > 0`,
		`sum(some_other_metric) > 0`,
		`1 > 0`,
	} {
		if err := asksFor(metrics, expr); err == nil {
			t.Errorf("nothing is wrong with %s", expr)
		}
	}
	if err := namesLabels(`sum by (job) (x) > 0`, `{{ $labels.instance }}`); err == nil {
		t.Error("a label that the alert does not have is not found")
	}
}

// The test needs Prometheus' own tool, because its engine is a large dependency.
func TestAlertsFire(t *testing.T) {
	t.Parallel()
	metrics := exported(t)
	file := readYAML[struct {
		Tests []struct {
			InputSeries []struct{ Series string } `yaml:"input_series"`
		}
	}](t, rulesTestFile)
	for _, test := range file.Tests {
		for _, input := range test.InputSeries {
			if err := asksFor(metrics, input.Series); err != nil {
				t.Errorf("%s: %v", rulesTestFile, err)
			}
		}
	}
	promtool, err := exec.LookPath("promtool")
	if err != nil {
		t.Skip("promtool is not installed, so the alerts are checked by name only")
	}
	out, err := exec.CommandContext(t.Context(), promtool, "test", "rules", rulesTestFile).CombinedOutput()
	if err != nil {
		t.Errorf("%v\n%s", err, out)
	}
}

func readYAML[T any](t *testing.T, name string) T {
	t.Helper()
	var content T
	text, err := os.ReadFile(name)
	if err != nil {
		t.Fatal(err)
	}
	if err := yaml.Unmarshal(text, &content); err != nil {
		t.Fatalf("%s: %v", name, err)
	}
	return content
}

// asksFor reports what an expression asks for although it is not exported.
func asksFor(metrics map[string]map[string][]string, expr string) error {
	by := groupedBy(expr)
	rest := regexp.MustCompile(`\bby\s*\([^)]*\)`).ReplaceAllString(expr, "")
	selectors := regexp.MustCompile(`([a-z_][a-z0-9_]*)(\{[^}]*\})?(\s*\()?`).FindAllStringSubmatch(rest, -1)
	asked := 0
	for _, selector := range selectors {
		name, matchers, isCall := selector[1], selector[2], selector[3] != ""
		if isCall || slices.Contains([]string{"and", "or", "unless", "m"}, name) {
			continue
		}
		asked++
		labels, ok := metrics[name]
		if !ok {
			return fmt.Errorf("no metric %s", name)
		}
		if err := matches(labels, matchers); err != nil {
			return fmt.Errorf("%s: %w", name, err)
		}
		for _, label := range by {
			if _, ok := labels[label]; !ok {
				return fmt.Errorf("%s has no label %s", name, label)
			}
		}
	}
	if asked == 0 {
		return errors.New("no metric is asked for")
	}
	return nil
}

func matches(labels map[string][]string, matchers string) error {
	for _, matcher := range regexp.MustCompile(`(\w+)\s*(!?=~?)\s*"([^"]*)"`).FindAllStringSubmatch(matchers, -1) {
		label, value := matcher[1], matcher[3]
		values, ok := labels[label]
		if !ok {
			return fmt.Errorf("no label %s", label)
		}
		if values != nil && !slices.Contains(values, value) {
			return fmt.Errorf("label %s is never %q", label, value)
		}
	}
	return nil
}

func groupedBy(expr string) []string {
	var labels []string
	for _, match := range regexp.MustCompile(`\bby\s*\(([^)]*)\)`).FindAllStringSubmatch(expr, -1) {
		labels = append(labels, strings.FieldsFunc(match[1], func(r rune) bool { return r == ',' || r == ' ' })...)
	}
	return labels
}

// namesLabels reports a label in an annotation that the alert does not have.
func namesLabels(expr, annotation string) error {
	for _, match := range regexp.MustCompile(`\$labels\.(\w+)`).FindAllStringSubmatch(annotation, -1) {
		if !slices.Contains(groupedBy(expr), match[1]) {
			return fmt.Errorf("the annotation names label %s, which the alert does not have", match[1])
		}
	}
	return nil
}
