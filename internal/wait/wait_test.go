package wait

import (
	"context"
	"errors"
	"testing"
	"testing/synctest"
)

func TestAFreePlaceIsTakenAndOnlyOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		places := make(chan struct{}, 2)
		for range 2 {
			if err := Turn(t.Context(), places); err != nil {
				t.Fatal(err)
			}
		}
		third := make(chan error, 1)
		go func() { third <- Turn(t.Context(), places) }()
		synctest.Wait()
		select {
		case err := <-third:
			t.Fatalf("a third of two places was taken: %v", err)
		default:
		}
		<-places
		if err := <-third; err != nil {
			t.Error(err)
		}
	})
}

func TestWhoWaitsMayLeave(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		why := errors.New("why")
		ctx, end := context.WithCancelCause(t.Context())
		places := make(chan struct{}, 1)
		places <- struct{}{}
		left := make(chan error, 1)
		go func() { left <- Turn(ctx, places) }()
		synctest.Wait()
		end(why)
		if err := <-left; !errors.Is(err, context.Canceled) || !errors.Is(err, why) {
			t.Error(err)
		}
	})
}

// TestAnEndedContextGetsNoFreePlace: a select alone takes either.
func TestAnEndedContextGetsNoFreePlace(t *testing.T) {
	ctx, end := context.WithCancel(t.Context())
	end()
	places := make(chan struct{}, 1)
	for range 100 {
		if err := Turn(ctx, places); !errors.Is(err, context.Canceled) || len(places) > 0 {
			t.Fatalf("%v, %d places taken", err, len(places))
		}
	}
}
