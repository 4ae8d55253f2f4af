package gemma4

import (
	"maps"
	"math"
	"slices"
	"testing"
	"time"
)

func TestAPlanLearnsWhatPassesCost(t *testing.T) {
	ms := func(x float64) time.Duration { return time.Duration(x * float64(time.Millisecond)) }
	for _, test := range []struct {
		name   string
		passes map[int]time.Duration // by positions
		of     map[int]time.Duration
		within map[time.Duration]int
	}{
		{"nothing measured", nil, map[int]time.Duration{16: 0}, map[time.Duration]int{time.Second: 0}},
		{"one length: a decode of 40 ms is fixed", map[int]time.Duration{16: ms(160)}, map[int]time.Duration{16: ms(160), 32: ms(280)},
			map[time.Duration]int{ms(250): 28}},
		{"one length: half is fixed", map[int]time.Duration{16: ms(60)}, map[int]time.Duration{16: ms(60), 32: ms(90)},
			map[time.Duration]int{ms(80): 26}},
		{"a fixed part", map[int]time.Duration{16: ms(82), 512: ms(1074), 100: ms(250)},
			map[int]time.Duration{64: ms(178), 200: ms(450)}, map[time.Duration]int{ms(160): 55, ms(50): 0, time.Minute: 1024}},
		{"about the same length", map[int]time.Duration{16: ms(95), 14: ms(105)}, map[int]time.Duration{15: ms(100)},
			map[time.Duration]int{time.Second: 32}},
		{"nothing but a fixed part", map[int]time.Duration{16: ms(100), 64: ms(100)}, map[int]time.Duration{30: ms(100)},
			map[time.Duration]int{ms(90): 0, ms(110): 128}},
		{"short ones are cheaper than they should be", map[int]time.Duration{16: ms(10), 512: ms(1000)},
			map[int]time.Duration{16: ms(20.6)}, nil},
	} {
		const decode = 40 * time.Millisecond
		var c cost
		for range 50 {
			for _, n := range slices.Sorted(maps.Keys(test.passes)) {
				c.add(n, test.passes[n])
			}
		}
		for n, want := range test.of {
			if got := c.of(n, decode); math.Abs((got - want).Seconds()) > 0.1*want.Seconds() {
				t.Errorf("%s: %d positions take %v, expected %v", test.name, n, got, want)
			}
		}
		for d, want := range test.within {
			if got := c.within(d, decode); math.Abs(float64(got-want)) > 0.1*float64(want) {
				t.Errorf("%s: %d positions within %v, expected %d", test.name, got, d, want)
			}
		}
	}
}

func TestAPlanFillsPassesWithThePromptsThatAreReadSoonest(t *testing.T) {
	now := time.Unix(1000, 0)
	type want map[string]int // positions by name
	waiting := func(rest int, name string) *job {
		return &job{unread: unread{rest: rest, batch: 512, since: now}, err: named(name)}
	}
	with := func(j *job, change func(u *unread)) *job { change(&j.unread); return j }
	image := func(n int) func(u *unread) { return func(u *unread) { u.image = n } }
	group := func(g string) func(u *unread) { return func(u *unread) { u.group = g } }
	old := func(u *unread) { u.since = now.Add(-patience - time.Second) }
	for _, test := range []struct {
		name    string
		n       int
		waiting []*job
		served  map[string]int
		want    want
	}{
		{"one", 64, []*job{waiting(100, "a")}, nil, want{"a": 64}},
		{"the rest of one", 64, []*job{waiting(10, "a")}, nil, want{"a": 10}},
		{"several", 64, []*job{waiting(1000, "a"), waiting(30, "b"), waiting(20, "c")}, nil, want{"a": 14, "b": 30, "c": 20}},
		{"no room for the longest", 16, []*job{waiting(1000, "a"), waiting(30, "b")}, nil, want{"b": 16}},
		{"a batch of its own", 512, []*job{with(waiting(1000, "a"), func(u *unread) { u.batch = 8 }), waiting(2000, "b")}, nil,
			want{"a": 8, "b": 504}},
		{"of equal ones the first", 16, []*job{waiting(30, "a"), with(waiting(30, "b"), func(u *unread) { u.since = now.Add(-1) })}, nil,
			want{"b": 16}},
		{"one that has waited for long", 64, []*job{with(waiting(1000, "a"), old), waiting(100, "b")}, nil, want{"a": 32, "b": 32}},
		{"alone it gets all", 64, []*job{with(waiting(1000, "a"), old)}, nil, want{"a": 64}},
		{"and what others leave", 64, []*job{with(waiting(1000, "a"), old), waiting(10, "b")}, nil, want{"a": 54, "b": 10}},
		{"groups", 64, []*job{waiting(20, "a1"), waiting(21, "a2"), waiting(22, "a3"), with(waiting(1000, "b1"), group("b"))}, nil,
			want{"a1": 20, "b1": 44}},
		{"the group that had its turn", 16, []*job{waiting(20, "a"), with(waiting(1000, "b"), group("b"))}, map[string]int{"": 1},
			want{"b": 16}},
		{"an image is not cut", 16, []*job{with(waiting(1000, "a"), image(256))}, nil, want{"a": 256}},
		{"nor read beside others if it does not fit", 64, []*job{with(waiting(1000, "a"), image(256)), waiting(30, "b")}, nil,
			want{"b": 30}},
		{"but if it does", 512, []*job{with(waiting(300, "a"), image(256)), waiting(30, "b")}, nil, want{"a": 300, "b": 30}},
	} {
		p := newPlan()
		for g, turn := range test.served {
			p.served[g] = turn
		}
		got := want{}
		for _, j := range p.prompts(nil, now, test.n, test.waiting) {
			got[j.err.Error()] += j.take
		}
		if len(got) != len(test.want) {
			t.Errorf("%s: %v, expected %v", test.name, got, test.want)
		}
		for name, n := range test.want {
			if got[name] != n {
				t.Errorf("%s: %v, expected %v", test.name, got, test.want)
			}
		}
	}
}

type named string

func (n named) Error() string { return string(n) }

// simulation is what a pass takes on a machine that never errs.
type simulation struct{ decode, fixed, each time.Duration }

var simulated = map[string]simulation{
	"two cores":   {90 * time.Millisecond, 60 * time.Millisecond, 4 * time.Millisecond},
	"a server":    {20 * time.Millisecond, 15 * time.Millisecond, 300 * time.Microsecond},
	"a graphics":  {5 * time.Millisecond, 5 * time.Millisecond, 20 * time.Microsecond},
	"a Raspberry": {400 * time.Millisecond, 300 * time.Millisecond, 60 * time.Millisecond},
}

// simulate takes prompts through steps beside streams until all are read, and returns when each got its first positions. come is when they
// come, from the beginning.
func (m simulation) simulate(t *testing.T, p *plan, streaming bool, lengths []int, come []time.Duration) (began, ended []time.Duration) {
	start := time.Unix(0, 0)
	clock := time.Duration(0)
	began, ended = make([]time.Duration, len(lengths)), make([]time.Duration, len(lengths))
	jobs := map[*job]int{}
	next := 0
	for next < len(lengths) || len(jobs) > 0 {
		if streaming {
			p.decoded(m.decode)
			clock += m.decode
		}
		for ; next < len(lengths) && (come[next] <= clock || len(jobs) == 0); next++ {
			clock = max(clock, come[next])
			jobs[&job{unread: unread{rest: lengths[next], batch: 512, since: start.Add(clock)}}] = next
		}
		var waiting []*job
		for j := range jobs {
			waiting = append(waiting, j)
		}
		n := 512
		if streaming {
			n = min(n, p.positions(true))
		}
		all := 0
		for _, j := range p.prompts(nil, start.Add(clock), n, waiting) {
			i := jobs[j]
			if j.rest == lengths[i] {
				began[i] = clock
			}
			all += j.take
			if j.rest -= j.take; j.rest == 0 {
				ended[i] = clock + m.fixed + time.Duration(all)*m.each
				delete(jobs, j)
			}
			p.took(j.group)
		}
		if all > n || all == 0 {
			t.Fatalf("%d positions, %d allowed", all, n)
		}
		if planned := p.iteration(streaming, all); streaming && planned > p.budget && all > panel {
			t.Errorf("an iteration of %v is planned, of %d positions", planned, all)
		}
		took := m.fixed + time.Duration(all)*m.each
		if real := m.decode + took; streaming && real > p.budget*101/100 && all > panel {
			t.Errorf("an iteration takes %v, of %d positions", real, all)
		}
		p.prefill.add(all, took)
		clock += took
	}
	return began, ended
}

func TestAShortPromptDoesNotWaitForALongOne(t *testing.T) {
	for name, m := range simulated {
		for _, streaming := range []bool{true, false} {
			p := newPlan()
			come := []time.Duration{0, 500 * time.Millisecond, 5 * time.Second}
			began, ended := m.simulate(t, &p, streaming, []int{16000, 30, 30}, come)
			step := max(p.budget, m.decode+m.fixed+panel*m.each) // where not even 16 positions fit the budget
			if !streaming {
				step = m.fixed + 512*m.each
			}
			own := 2 * step
			for i := 1; i < 3; i++ {
				if wait := began[i] - come[i]; wait > 2*step || ended[i]-began[i] > own {
					t.Errorf("%s, streams %v: a prompt of 30 tokens waits for %v behind one of 16000, and takes %v; a step is %v",
						name, streaming, wait, ended[i]-began[i], step)
				}
			}
			t.Logf("%s, streams %v: waits %v and %v, takes %v; 16000 take %v", name, streaming, began[1]-come[1], began[2]-come[2],
				ended[1]-began[1], ended[0])
		}
	}
}

// TestALongPromptIsReadWhileShortOnesKeepComing: from when it has waited for long on, at half the speed that it would have alone.
func TestALongPromptIsReadWhileShortOnesKeepComing(t *testing.T) {
	m := simulated["a server"]
	p := newPlan()
	lengths, come := []int{4000}, []time.Duration{0}
	for at := time.Duration(0); at < 2*time.Minute; at += 50 * time.Millisecond { // more than there is time for
		lengths, come = append(lengths, 100), append(come, at)
	}
	began, ended := m.simulate(t, &p, true, lengths, come)
	alone := newPlan()
	_, quick := m.simulate(t, &alone, true, lengths[:1], come[:1])
	if began[0] > patience+time.Second || ended[0] > patience+2*quick[0]+time.Second {
		t.Errorf("it begins at %v and ends at %v, alone at %v", began[0], ended[0], quick[0])
	}
	t.Logf("begins at %v, ends at %v, alone at %v", began[0], ended[0], quick[0])
}
