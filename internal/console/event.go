package console

import (
	"bytes"
	"sync"

	"github.com/hoc-analytics/coordaudit/audit"
)

// event is a record for the watchers. It becomes a row once, for all of them.
type event struct {
	audit.Followed

	rows [2]renderedRow // without and with its tenant
}

type renderedRow struct {
	once sync.Once
	text string
	err  error
}

// row is the event as a row of the table.
func (e *event) row(from pages, allTenants bool) (string, error) {
	row := &e.rows[0]
	if allTenants {
		row = &e.rows[1]
	}
	row.once.Do(func() {
		var text bytes.Buffer
		row.err = from["live"].ExecuteTemplate(&text, "row", rowView{e.Record, allTenants, e.Late})
		row.text = text.String()
	})
	return row.text, row.err
}
