package report_test

import (
	"bytes"
	"strings"
	"testing"

	"github.com/hoc-analytics/coordaudit/internal/report"
)

func TestGuards(t *testing.T) {
	t.Parallel()
	for want, guards := range map[string]report.Guards{
		"could not be checked": {},
		"all in place":         {Checked: true},
		"2 differences: trigger a on public.b, index public.c; see migrate validate":          {Checked: true, Differences: []string{"trigger a on public.b", "index public.c"}},
		"no difference found; with this role&#39;s rights not checked: sequence public.b_seq": {Checked: true, Unchecked: []string{"sequence public.b_seq"}},
		"1 difference: index public.c; see migrate validate; with this role&#39;s rights not": {Checked: true, Differences: []string{"index public.c"}, Unchecked: []string{"sequence public.b_seq"}},
	} {
		var page bytes.Buffer
		if err := report.Write(&page, report.Data{Guards: guards}); err != nil {
			t.Fatal(err)
		}
		if !strings.Contains(page.String(), "<dt>Guards</dt><dd>"+want) {
			t.Errorf("the head does not say %q", want)
		}
	}
}
