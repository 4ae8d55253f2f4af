package main

import (
	"context"
	"fmt"
	"net"
	"os"
	"strconv"
	"strings"

	"github.com/gogemma/gemma4/cmd/gemma4/internal/cli"
)

// listen returns what accepts connections: the socket that systemd hands over (sd_listen_fds(3)), else an address, HOST:PORT or unix:PATH.
// Others than this machine's programs may reach it only if that is meant.
func listen(ctx context.Context, addr string, open bool) (net.Listener, error) {
	l, err := inherited()
	if l == nil && err == nil {
		if err := guarded(ctx, addr, open); err != nil {
			return nil, err
		}
		network := "tcp"
		if path, ok := strings.CutPrefix(addr, "unix:"); ok {
			network, addr = "unix", path
			if err := abandoned(ctx, path); err != nil {
				return nil, err
			}
		}
		return new(net.ListenConfig).Listen(ctx, network, addr)
	}
	if err == nil {
		err = guarded(ctx, l.Addr().String(), open || l.Addr().Network() == "unix")
	}
	if err != nil && l != nil {
		l.Close()
	}
	return l, err
}

// inherited returns the socket that systemd has opened for this process, nil if it has not.
func inherited() (net.Listener, error) {
	pid, n := os.Getenv("LISTEN_PID"), os.Getenv("LISTEN_FDS")
	if pid != strconv.Itoa(os.Getpid()) || n == "" {
		return nil, nil
	}
	os.Unsetenv("LISTEN_PID") // it is not for children
	if n != "1" {
		return nil, fmt.Errorf("socket activation with %s sockets: one is expected", n)
	}
	f := os.NewFile(3, "systemd")
	defer f.Close() // the listener has its own
	l, err := net.FileListener(f)
	if err != nil {
		return nil, fmt.Errorf("socket activation: %w", err)
	}
	return l, nil
}

// guarded refuses an address that others than this machine can reach, unless it is open to them.
func guarded(ctx context.Context, addr string, open bool) error {
	if open || strings.HasPrefix(addr, "unix:") {
		return nil
	}
	host, _, err := net.SplitHostPort(addr)
	if err != nil {
		return cli.Wrong("-addr %s: expected HOST:PORT, such as 127.0.0.1:8080, or unix:PATH", addr)
	}
	if host != "" {
		ips, err := net.DefaultResolver.LookupNetIP(ctx, "ip", host)
		if err != nil {
			return fmt.Errorf("-addr %s: %w", addr, err)
		}
		outside := false
		for _, ip := range ips {
			outside = outside || !ip.IsLoopback()
		}
		if !outside {
			return nil
		}
	}
	return fmt.Errorf("at %s everybody on the network could ask: give a key (-key-file FILE, GEMMA4_KEY), or -open if that is meant", addr)
}

// addresses are where clients find a listener.
func addresses(l net.Listener, scheme string) (list []string) {
	tcp, ok := l.Addr().(*net.TCPAddr)
	if !ok {
		return []string{l.Addr().Network() + ":" + l.Addr().String()}
	}
	ips := []net.IP{tcp.IP}
	if tcp.IP.IsUnspecified() {
		ips = []net.IP{net.IPv4(127, 0, 0, 1)}
		all, _ := net.InterfaceAddrs() // those that cannot be told are left out
		for _, a := range all {
			if n, ok := a.(*net.IPNet); ok && !n.IP.IsLoopback() && !n.IP.IsLinkLocalUnicast() {
				ips = append(ips, n.IP)
			}
		}
	}
	for _, ip := range ips {
		list = append(list, scheme+"://"+net.JoinHostPort(ip.String(), strconv.Itoa(tcp.Port)))
	}
	return list
}
