"""The shop as a participant: the routes of all its pages, and its own table of purchases."""

from participants.ecommerce import experiments_page, kill_button, order_page, shelf_page, switches_page
from participants.ecommerce.purchases import balance, barrier, db
from participants.ecommerce.routes import routes
from participants.participant import Participant

#: The modules of the pages. The import of a module adds the routes of its page.
PAGES = (shelf_page, order_page, switches_page, kill_button, experiments_page)

ECOMMERCE = Participant(name="ecommerce", db=db, barrier=barrier, routes=routes, balance=balance)
