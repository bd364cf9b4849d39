// A list of posts out of a MariaDB database. The password is in /run/secrets/db-password, the database is db:3306.
// Written for tests, to stand in for the backend of the nginx-golang-mysql example.
package main

import (
	"database/sql"
	"encoding/json"
	"fmt"
	"log"
	"net/http"
	"os"
	"strings"
	"time"

	_ "github.com/go-sql-driver/mysql"
)

func open() (*sql.DB, error) {
	secret, err := os.ReadFile("/run/secrets/db-password")
	if err != nil {
		return nil, err
	}
	source := fmt.Sprintf("root:%s@tcp(db:3306)/example", strings.TrimSpace(string(secret)))
	return sql.Open("mysql", source)
}

func prepare(db *sql.DB) error {
	for tries := 0; ; tries++ {
		err := db.Ping()
		if err == nil {
			break
		}
		if tries == 60 {
			return err
		}
		time.Sleep(time.Second)
	}
	if _, err := db.Exec("CREATE TABLE IF NOT EXISTS blog (id INT AUTO_INCREMENT PRIMARY KEY, title VARCHAR(255))"); err != nil {
		return err
	}
	var count int
	if err := db.QueryRow("SELECT count(*) FROM blog").Scan(&count); err != nil || count > 0 {
		return err
	}
	_, err := db.Exec("INSERT INTO blog (title) VALUES ('Post 0'), ('Post 1'), ('Post 2')")
	return err
}

func main() {
	db, err := open()
	if err == nil {
		err = prepare(db)
	}
	if err != nil {
		log.Fatal(err)
	}
	http.HandleFunc("/", func(writer http.ResponseWriter, request *http.Request) {
		if request.Method == http.MethodPost {
			if _, err := db.Exec("INSERT INTO blog (title) VALUES (?)", request.FormValue("title")); err != nil {
				http.Error(writer, err.Error(), http.StatusInternalServerError)
				return
			}
		}
		titles := []string{}
		rows, err := db.Query("SELECT title FROM blog ORDER BY id")
		if err != nil {
			http.Error(writer, err.Error(), http.StatusInternalServerError)
			return
		}
		defer rows.Close()
		for rows.Next() {
			var title string
			if err := rows.Scan(&title); err == nil {
				titles = append(titles, title)
			}
		}
		json.NewEncoder(writer).Encode(titles)
	})
	log.Print("listening at :8000")
	log.Fatal(http.ListenAndServe(":8000", nil))
}
