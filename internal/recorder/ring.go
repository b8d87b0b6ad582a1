package recorder

// ring is a deque of entries.
type ring struct {
	slots []*entry // a power of two
	head  int
	count int
}

func (r *ring) len() int      { return r.count }
func (r *ring) front() *entry { return r.slots[r.head] }

func (r *ring) at(i int) int { return (r.head + i) & (len(r.slots) - 1) }

func (r *ring) pushBack(e *entry) {
	r.grow()
	r.slots[r.at(r.count)] = e
	r.count++
}

func (r *ring) pushFront(e *entry) {
	r.grow()
	r.head = r.at(len(r.slots) - 1)
	r.slots[r.head] = e
	r.count++
}

// putBack returns entries, which are in the order of their tickets, to their places. What
// the other owner returned earlier may be older.
func (r *ring) putBack(entries []*entry) {
	i := len(entries) - 1
	if i < 0 {
		return
	}
	var older []*entry
	for r.count > 0 && r.front().ticket < entries[i].ticket {
		older = append(older, r.front())
		r.popFront()
	}
	for j := len(older) - 1; i >= 0 || j >= 0; {
		if j < 0 || (i >= 0 && entries[i].ticket > older[j].ticket) {
			r.pushFront(entries[i])
			i--
		} else {
			r.pushFront(older[j])
			j--
		}
	}
}

func (r *ring) popFront() {
	r.slots[r.head] = nil // or the ring would keep it from being collected
	r.head = r.at(1)
	r.count--
}

func (r *ring) grow() {
	if r.count < len(r.slots) {
		return
	}
	larger := make([]*entry, max(64, 2*len(r.slots)))
	for i := range r.count {
		larger[i] = r.slots[r.at(i)]
	}
	r.slots, r.head = larger, 0
}
