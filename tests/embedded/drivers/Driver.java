// clickhouse-jdbc against the address and password of the command line; an exception where something is wrong.
import java.sql.Connection;
import java.sql.DriverManager;
import java.sql.PreparedStatement;
import java.sql.ResultSet;
import java.sql.SQLException;
import java.sql.Statement;

public class Driver {
    static void must(boolean right, String what) {
        if (!right) throw new IllegalStateException(what);
    }

    static long sum(ResultSet rows) throws SQLException {
        long sum = 0;
        while (rows.next()) sum += rows.getLong(1);
        return sum;
    }

    static void check(String url, String password) throws Exception {
        try (Connection connection = DriverManager.getConnection(url, "default", password)) {
            must(connection.getMetaData().getDatabaseProductVersion().startsWith("2"), "version");
            must(connection.getMetaData().getTables(null, "system", "one", null).next(), "tables");
            must(connection.getMetaData().getColumns(null, "system", "one", "%").next(), "columns");
            Statement statement = connection.createStatement();
            statement.execute("CREATE OR REPLACE TABLE java (a UInt64, s String) ENGINE = MergeTree ORDER BY a");
            try (PreparedStatement insert = connection.prepareStatement("INSERT INTO java (a, s) VALUES (?, ?)")) {
                for (int i = 0; i < 1000; i++) {
                    insert.setInt(1, i);
                    insert.setString(2, "it's $" + i + ";\\");
                    insert.addBatch();
                }
                must(insert.executeBatch().length == 1000, "batch");
            }
            try (PreparedStatement asked = connection.prepareStatement("SELECT a FROM java WHERE s = ?")) {
                asked.setString(1, "it's $7;\\");
                must(sum(asked.executeQuery()) == 7, "parameter");
            }
            must(sum(statement.executeQuery("SELECT number FROM numbers(300000)")) == 44999850000L, "rows");
            must(statement.executeQuery("SHOW TABLES").next() && statement.executeQuery("DESCRIBE java").next(), "show");
            try {
                statement.executeQuery("SELECT nope");
                must(false, "no error");
            } catch (SQLException error) {
                must(error.getMessage().contains("Code: 47."), error.getMessage());
            }
            Statement slow = connection.createStatement();
            Thread cancel = new Thread(() -> {
                try {
                    Thread.sleep(500);
                    slow.cancel();
                } catch (Exception error) {
                    throw new IllegalStateException(error);
                }
            });
            cancel.start();
            try {
                sum(slow.executeQuery("SELECT count() FROM numbers(1000000000000) WHERE sipHash64(number) = 1"));
                must(false, "not cancelled");
            } catch (SQLException error) {
                must(error.getMessage().contains("Code: 394."), error.getMessage());
            }
        }
    }

    public static void main(String[] arguments) throws Exception {
        for (String settings : new String[] {"", "?compress=1", "?compress=0", "?compress=1&decompress=1"}) {
            check("jdbc:clickhouse://" + arguments[0] + "/default" + settings, arguments[1]);
        }
    }
}
