// Go's net/http as a client, and as a server of HTTP/1 and of HTTP/2 without TLS.
//
// usage: pairs http1|http2 BASE WORDS... (as http_programs.py) | pairs server PORT LOG
package main

import (
	"fmt"
	"io"
	"net/http"
	"os"
	"strconv"
	"strings"
	"sync"
)

const atOnce = 20

// Of which net/http does not know the length, so that it sends chunks.
type endless struct{ io.Reader }

func ask(client *http.Client, base, word string) {
	method, path, size := "GET", word, ""
	if at := strings.IndexByte("+=~", word[0]); at >= 0 {
		method = []string{"POST", "PUT", "POST"}[at]
		size, path, _ = strings.Cut(word[1:], " ")
	}
	var body io.Reader
	if bytes, err := strconv.Atoi(size); err == nil {
		body = strings.NewReader(strings.Repeat("b", bytes))
		if word[0] == '~' {
			body = endless{body}
		}
	}
	request, err := http.NewRequest(method, base+path, body)
	must(err)
	answer, err := client.Do(request)
	must(err)
	_, err = io.Copy(io.Discard, answer.Body)
	must(err)
	answer.Body.Close()
}

func asks(protocols *http.Protocols, base string, words []string) {
	client := &http.Client{Transport: &http.Transport{Protocols: protocols}}
	var all sync.WaitGroup
	for _, word := range words {
		ask(client, base, word)
	}
	for n := 0; n < atOnce; n++ {
		for _, word := range words {
			all.Add(1)
			go func() {
				defer all.Done()
				ask(client, base, word)
			}()
		}
	}
	all.Wait()
}

func serve(protocols *http.Protocols, port, path string) {
	log, err := os.OpenFile(path, os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o644)
	must(err)
	answer := func(w http.ResponseWriter, r *http.Request) {
		body, err := io.ReadAll(r.Body)
		must(err)
		status, pieces := 200, []string{}
		switch r.URL.Path[strings.LastIndexByte(r.URL.Path, '/'):] {
		case "/small":
			pieces = []string{strings.Repeat("s", 1024)}
		case "/large":
			for n := 0; n < 300; n++ {
				pieces = append(pieces, strings.Repeat("l", 1000))
			}
		case "/text":
			pieces = []string{"fifteen letters" + string(body)}
		case "/up":
			status = 201
		case "/fail":
			status, pieces = 503, []string{"no"}
		default:
			status, pieces = 404, []string{"none"}
		}
		// First the log: the server may be told to end as soon as the answer has arrived.
		fmt.Fprintf(log, "%s %s %d %d/%d\n", r.Method, r.URL.Path, status, len(body), len(strings.Join(pieces, "")))
		w.WriteHeader(status)
		for _, piece := range pieces {
			io.WriteString(w, piece)
		}
	}
	server := &http.Server{Addr: "127.0.0.1:" + port, Protocols: protocols, Handler: http.HandlerFunc(answer)}
	must(server.ListenAndServe())
}

func must(err error) {
	if err != nil {
		panic(err)
	}
}

func main() {
	var protocols http.Protocols
	how := os.Args[1]
	protocols.SetHTTP1(how != "http2")
	protocols.SetUnencryptedHTTP2(how != "http1")
	if how == "server" {
		serve(&protocols, os.Args[2], os.Args[3])
	} else {
		asks(&protocols, os.Args[2], os.Args[3:])
	}
}
