package machine

import (
	"runtime"
	"testing"
)

func TestThreadsAreTheLeastOfCoresQuotaAndGOMAXPROCS(t *testing.T) {
	for _, test := range []struct {
		cores, processors, most int
		quota                   float64
		want                    int
		why                     string
	}{
		{2, 4, 4, 0, 2, "2 physical cores"},
		{1, 2, 2, 0, 1, "1 physical core"},
		{0, 4, 4, 0, 4, "4 processors"},
		{8, 16, 16, 3, 3, "the CPU quota is 3 cores"},
		{8, 16, 2, 1, 1, "the CPU quota is 1 core"},
		{8, 16, 2, 1.5, 1, "the CPU quota is 1.5 cores"},
		{8, 16, 2, 0.25, 1, "the CPU quota is 0.25 cores"},
		{8, 16, 3, 2.9999, 2, "the CPU quota is 2.999 cores"},
		{8, 16, 9, 8.5, 8, "8 physical cores"},
		{1, 1, 1, 0.5, 1, "1 physical core"},
		{8, 16, 4, 0, 4, "GOMAXPROCS is 4"},
		{8, 16, 4, 4, 4, "the CPU quota is 4 cores"}, // that is where Go gets its 4 from
		{8, 16, 1, 4, 1, "GOMAXPROCS is 1"},
		{8, 16, 16, 1e15, 8, "8 physical cores"},
	} {
		if n, why := threads(test.cores, test.processors, test.most, test.quota); n != test.want || why != test.why {
			t.Errorf("%+v: %d threads, %s", test, n, why)
		}
	}
}

func TestThreadsKeepToGOMAXPROCS(t *testing.T) {
	all, _ := Threads()
	if all < 1 || all > runtime.GOMAXPROCS(0) {
		t.Errorf("%d threads, GOMAXPROCS is %d", all, runtime.GOMAXPROCS(0))
	}
	defer runtime.GOMAXPROCS(runtime.GOMAXPROCS(1))
	if n, _ := Threads(); n != 1 {
		t.Errorf("%d threads, GOMAXPROCS is 1", n)
	}
}
