package main

import (
	"context"
	"encoding/json"
	"fmt"
	"os"
	"time"

	"github.com/gogemma/gemma4/chat"
	"github.com/gogemma/gemma4/cmd/gemma4/internal/cli"
	"github.com/gogemma/gemma4/server"
)

// keepFlags defines the flags for beginnings of texts.
func (v *service) keepFlags() {
	v.Group("beginnings of texts, which need not be read again")
	v.Func("prefix-memory", "`bytes` for them in memory; 0: none (default: a quarter of -memory)", func(text string) (err error) {
		if v.prefixes = 0; text != "0" {
			v.prefixes, err = cli.Size(text)
		}
		return err
	})
	v.FileVar(&v.folder, "prefix-dir", "`folder` that keeps them for the next start; it holds what was said, in a form of the model's")
	v.Values("prefix-dir", cli.Values{Files: "*"})
	v.kept = 4e9
	v.SizeVar(&v.kept, "prefix-bytes", "`bytes` that the folder may have (default: 4GB)")
	v.FileVar(&v.warm, "warm", "`file` with a conversation that is read at the start: {\"messages\": …, \"tools\": …}")
}

// openFolder lets the cache find what the folder keeps. Without the folder the server is slower, not wrong.
func (v *service) openFolder(ctx context.Context) {
	if v.folder == "" {
		return
	}
	p := v.options.Queue.Prefixes
	if err := p.Open(ctx, v.m, v.folder, v.kept); err != nil {
		v.Complain(fmt.Errorf("-prefix-dir: %w", err))
		v.folder = ""
		return
	}
	stats := p.Stats()
	fmt.Fprintf(v.Err, "%s keeps %d texts, %s\n", v.folder, stats.Files, cli.Bytes(stats.FileBytes))
}

// conversation reads the file of -warm.
func (v *service) conversation() (*chat.Conversation, error) {
	if v.warm == "" {
		return nil, nil
	}
	text, err := os.ReadFile(v.warm)
	if err != nil {
		return nil, err
	}
	var c chat.Conversation
	if err := json.Unmarshal(text, &c); err != nil {
		return nil, fmt.Errorf("%s: %w", v.warm, err)
	}
	if err := c.Validate(); err != nil {
		return nil, fmt.Errorf("%s: %w", v.warm, err)
	}
	return &c, nil
}

// read has the model read a conversation. Requests may come meanwhile.
func (v *service) read(ctx context.Context, s *server.Server, c *chat.Conversation) {
	began := time.Now()
	n, err := s.Warm(ctx, *c)
	if err != nil {
		v.Complain(fmt.Errorf("-warm %s: %w", v.warm, err))
		return
	}
	fmt.Fprintf(v.Err, "%s is read: %d positions in %v\n", v.warm, n, time.Since(began).Round(time.Millisecond))
}

// keep writes what the cache holds to the folder whenever there is nothing else to do, until ctx ends.
func (v *service) keep(ctx context.Context, s *server.Server) {
	if v.folder == "" {
		return
	}
	idle := func() bool { q := s.Stats(); return q.Running+q.Waiting == 0 }
	whenIdle(ctx, idle, v.save)
}

// whenIdle calls save every five seconds if there is nothing else to do, until ctx ends; where that fails, as on a disk that is full,
// again after twice the time, up to an hour.
func whenIdle(ctx context.Context, idle func() bool, save func(context.Context) error) {
	const often, seldom = 5 * time.Second, time.Hour
	for wait := often; ; {
		select {
		case <-ctx.Done():
			return
		case <-time.After(wait):
		}
		switch {
		case !idle():
		case save(ctx) == nil:
			wait = often
		default:
			wait = min(2*wait, seldom)
		}
	}
}

// save writes what the cache holds to the folder.
func (v *service) save(ctx context.Context) error {
	if v.folder == "" {
		return nil
	}
	err := v.options.Queue.Prefixes.Save(ctx)
	if err != nil && ctx.Err() == nil {
		v.Complain(fmt.Errorf("-prefix-dir: %w", err))
	}
	return err
}
